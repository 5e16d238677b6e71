"""MelInverter: the whole inversion, its options and attributes, pickling, compiling and dtypes."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.metrics import mel_error_db
from torchmelinv.phase import PHASES
from torchmelinv.transforms.spectrum import filterbank_input

WAVEFORM = tones(1600, (2,))
LOG_MEL = MelSpectrogram(TINY_LOG)(WAVEFORM)


def error_of(waveform: Tensor) -> Tensor:
    """Return the mel error of waveforms for LOG_MEL in dB."""
    return mel_error_db(MelSpectrogram(TINY_LOG).linear_mel(waveform), LOG_MEL.exp())


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_inverts_its_mels(name):
    convention = preset(name)
    mel_spectrogram = MelSpectrogram(convention)
    waveform = 0.5 * tones(4 * max(convention.n_fft, 2048))
    mel = mel_spectrogram(waveform)
    result = MelInverter(convention, n_iter=4)(mel)
    assert result.shape == (convention.n_samples(mel.shape[-1]),)
    assert result.isfinite().all()
    result = MelInverter(convention, n_iter=16)(mel, length=len(waveform))
    assert result.shape == waveform.shape
    # Values relative to the peak have lost the level.
    if not convention.level.reference_max:
        target = mel_spectrogram.linear_mel(waveform)
        assert mel_error_db(mel_spectrogram.linear_mel(result), target) < -6


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("init", ["zero", "random"])
def test_every_pair_of_methods(magnitude, phase, init):
    waveform = MelInverter(TINY_LOG, magnitude, phase, 6, init=init)(LOG_MEL)
    assert waveform.shape == (2, TINY_LOG.n_samples(LOG_MEL.shape[-1]))
    assert (error_of(waveform) < (-4 if magnitude in ("transpose", "pinv") else -7)).all()


def test_each_default_option_improves_the_result():
    def mean_error(**options):
        return error_of(MelInverter(TINY_LOG, **options)(LOG_MEL)).mean()

    default = mean_error()
    assert default < mean_error(magnitude="transpose") - 1
    assert default < mean_error(phase="fast_griffin_lim") - 3
    assert default < mean_error(init="random") - 2
    assert default < mean_error(n_iter=4)


def test_to_magnitude_has_the_linear_mel():
    waveform = tones(1600, dtype=torch.float64)
    for convention in (TINY, TINY_POWER, TINY_LOG):
        mel_spectrogram = MelSpectrogram(convention)
        magnitude = MelInverter(convention).to_magnitude(mel_spectrogram(waveform))
        spectrum = filterbank_input(magnitude.square(), convention)
        linear_mel = mel_spectrogram.filterbank(spectrum)
        assert mel_error_db(linear_mel, mel_spectrogram.linear_mel(waveform)) < -90


def test_silence():
    assert (MelInverter(TINY, n_iter=4)(torch.zeros(2, 16, 20)) == 0).all()
    at_floor = MelSpectrogram(TINY_LOG)(torch.zeros(1600))
    assert MelInverter(TINY_LOG)(at_floor).abs().max() < 2e-3


@pytest.mark.parametrize("name", preset_names())
def test_the_mel_of_silence_gives_a_quiet_waveform(name):
    convention = preset(name)
    if convention.level.reference_max:
        pytest.skip("values relative to the peak have lost the level")
    mel = MelSpectrogram(convention)(torch.zeros(2 * convention.n_fft))
    assert MelInverter(convention, n_iter=8)(mel).abs().max() < 6e-3


def test_nan_stays_nan_without_the_check():
    """In a compiled model, which skips the check, a NaN must not come out as silence."""
    for convention in (TINY, TINY_LOG, TINY_POWER):
        waveform = tones(1600)
        waveform[700] = float("nan")
        mel = MelSpectrogram(convention)(waveform)
        assert mel.isnan().any()
        assert MelInverter(convention, n_iter=2, check=False)(mel).isnan().any()


def test_tables_from_inference_mode_serve_training():
    convention = TINY_LOG.replace(n_mels=17)
    with torch.inference_mode():
        inverter = MelInverter(convention, n_iter=2)
        inverter(torch.randn(17, 9) - 5)
    others = (MelInverter(convention, magnitude, n_iter=2) for magnitude in MAGNITUDES)
    for module in (inverter, *others):
        mel = (torch.randn(17, 9, dtype=torch.float64) - 5).requires_grad_()
        module(mel).square().sum().backward()
        assert mel.grad.isfinite().all()


def test_gradient_none_passes_no_gradient():
    mel = LOG_MEL.clone().requires_grad_()
    for n_iter in (0, 2):
        assert not MelInverter(TINY_LOG, n_iter=n_iter, gradient="none")(mel).requires_grad


def test_second_derivatives_are_refused():
    mel = LOG_MEL.clone().requires_grad_()
    energy = MelInverter(TINY_LOG, n_iter=1)(mel).square().sum()
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(energy, mel, create_graph=True)


def test_a_single_frame():
    for name in ("hifigan_22k", "librosa_melspectrogram", "kaldi_fbank"):
        inverter = MelInverter(name, n_iter=3)
        mel = MelSpectrogram(name)(tones(4000))[:, :1]
        waveform = inverter(mel)
        assert waveform.shape == (inverter.convention.n_samples(1),)
        assert MelSpectrogram(name)(waveform).shape[-1] >= 1
        assert waveform.isfinite().all()


def test_solve_returns_the_waveform_of_forward_with_diagnostics():
    inverter = MelInverter(TINY_LOG, n_iter=9)
    solution = inverter.solve(LOG_MEL)
    assert torch.equal(solution.waveform, inverter(LOG_MEL))
    assert solution.history.shape == (9, 2)
    assert solution.residual.shape == solution.n_iter.shape == solution.converged.shape == (2,)
    assert (solution.history[-1] < solution.history[0]).all()


def test_the_tolerance_stops_the_iteration():
    inverter = MelInverter(TINY_LOG, n_iter=500, tolerance=2e-2)
    solution = inverter.solve(LOG_MEL)
    assert solution.converged.all()
    assert (solution.n_iter < 500).all()
    assert torch.equal(solution.waveform, inverter(LOG_MEL))


def test_init_waveform_gives_its_phase():
    inverter = MelInverter(TINY_LOG, n_iter=0)
    waveform = inverter(LOG_MEL, init_waveform=WAVEFORM)
    result, target = inverter.stft(waveform), inverter.stft(WAVEFORM)
    alignment = (result * target.conj()).real.sum() / (result.abs() * target.abs()).sum()
    assert alignment > 0.95
    assert not torch.equal(waveform, inverter(LOG_MEL))


def test_random_phases_depend_on_the_seed_only():
    def waveform(seed):
        return MelInverter(TINY_LOG, n_iter=2, init="random", seed=seed)(LOG_MEL)

    assert torch.equal(waveform(0), waveform(0))
    assert not torch.equal(waveform(0), waveform(1))


def test_copies_pickles_and_moved_modules_are_equal():
    inverter = MelInverter(TINY_LOG, n_iter=2, seed=5)
    expected = inverter(LOG_MEL)
    moved = MelInverter(TINY_LOG, n_iter=2, seed=5).to("cpu").double()
    moved.load_state_dict(inverter.state_dict())
    for module in (copy.deepcopy(inverter), pickle.loads(pickle.dumps(inverter)), moved):
        assert torch.equal(module(LOG_MEL), expected)
    assert MelConvention.from_json(inverter.convention.to_json()) == TINY_LOG
    assert "entropic" in repr(inverter)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precisions_are_computed_in_single(dtype):
    inverter, mel = MelInverter(TINY_LOG, n_iter=3), LOG_MEL.to(dtype)
    waveform = inverter(mel)
    assert waveform.dtype == torch.float32
    assert torch.equal(waveform, inverter(mel.float()))


def test_double_precision_is_kept_and_single_agrees():
    inverter = MelInverter(TINY_LOG, n_iter=1)
    double = inverter(LOG_MEL.double())
    assert double.dtype == torch.float64
    assert (inverter(LOG_MEL) - double).abs().max() <= 1e-4 * double.abs().max()


def test_autocast_changes_nothing():
    inverter = MelInverter(TINY_LOG, n_iter=3)
    expected = inverter(LOG_MEL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(inverter(LOG_MEL), expected)
        assert torch.equal(MelSpectrogram(TINY_LOG)(WAVEFORM), LOG_MEL)


class Model(nn.Module):
    """A model with an inverter, to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.inverter = MelInverter(TINY, n_iter=3)

    def forward(self, features: Tensor) -> Tensor:
        mel = nn.functional.softplus(self.layer(features)).mT
        return self.inverter(mel).square().mean()


# The compiler reads the gradient of every input.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_compiled_model_equals_eager_and_does_not_recompile_for_the_same_shapes():
    model = Model()
    features = torch.randn(2, 20, 16)
    expected = model(features)
    (expected_gradient,) = torch.autograd.grad(expected, model.layer.weight)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(model, backend="eager")
    loss = compiled(features)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, model.layer.weight)
    torch.testing.assert_close(gradient, expected_gradient)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert graphs > 0
    for _ in range(3):
        compiled(torch.randn(2, 20, 16))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings of the compiler
def test_inductor_equals_eager():
    model, features = Model(), torch.randn(2, 20, 16)
    torch.testing.assert_close(torch.compile(model)(features), model(features))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"magnitude": "entropi"}, "did you mean 'entropic'"),
        ({"phase": "griffinlim"}, "did you mean 'griffin_lim'"),
        ({"n_iter": -1}, "n_iter"),
        ({"n_iter": 3.0}, "n_iter"),
        ({"init": "warm"}, "'zero', 'random'"),
        ({"momentum": -1}, "momentum is -1"),
        ({"momentum": 1.5}, "momentum is 1.5; it must be a number from 0 to 1 .0.99 is usual"),
        ({"phase": "griffin_lim", "momentum": -1}, "momentum is -1"),
        ({"phase": "rtisi_la", "momentum": 1.01}, "momentum is 1.01"),
        ({"tolerance": 0}, "tolerance"),
        ({"gradient": "all"}, "gradient"),
        ({"strat": "zero"}, "MelInverter has no option 'strat'; it takes convention, magnitude"),
        ({"inits": "zero"}, "no option 'inits'; did you mean 'init'"),
    ],
    ids=str,
)
def test_invalid_options(options, message):
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, **options)


def test_unknown_presets_are_refused():
    with pytest.raises(ConventionError, match="did you mean"):
        MelInverter("hifigan")


def test_invalid_arguments_of_a_call():
    inverter = MelInverter(TINY_LOG, n_iter=1)
    for length in (0, -5, 2.5, True):
        with pytest.raises(InputError, match="length"):
            inverter(LOG_MEL, length=length)
    with pytest.raises(InputError, match="init_waveform"):
        inverter(LOG_MEL, init_waveform=WAVEFORM[0])
    with pytest.raises(InputError, match="move one of them"):
        inverter(LOG_MEL, init_waveform=WAVEFORM.to("meta"))


def test_options_of_each_call_can_be_set():
    inverter = MelInverter(TINY_LOG, n_iter=2)
    changes = {
        "n_iter": 3,
        "init": "random",
        "seed": 4,
        "tolerance": 1e-9,
        "gradient": "none",
        "check": False,
    }
    for name, value in changes.items():
        setattr(inverter, name, value)
        assert getattr(inverter, name) == value
        assert f"{name}={value!r}" in repr(inverter)
    assert torch.equal(inverter(LOG_MEL), MelInverter(TINY_LOG, **changes)(LOG_MEL))
    for name, wrong in (("n_iter", -1), ("init", "warm"), ("gradient", "all"), ("seed", 0.5)):
        with pytest.raises(InputError, match=name):
            setattr(inverter, name, wrong)


@pytest.mark.parametrize("name", ["phase", "magnitude", "convention", "momentum", "stft"])
def test_options_of_the_constructor_are_read_only(name):
    inverter = MelInverter(TINY_LOG)
    value = getattr(inverter, name)
    with pytest.raises(AttributeError, match=f"MelInverter.{name} is read-only"):
        setattr(inverter, name, value)


def test_misspelled_attributes_are_refused():
    inverter = MelInverter(TINY_LOG)
    with pytest.raises(AttributeError, match=r"no attribute 'n_iters'; did you mean 'n_iter'"):
        inverter.n_iters = 3


def test_other_attributes_may_be_added():
    inverter = MelInverter(TINY_LOG)
    inverter.label = "speech"
    assert inverter.label == "speech"


def test_methods_of_modules_work():
    inverter = MelInverter(TINY_LOG)
    inverter.train()
    inverter.requires_grad_(False)
    assert not inverter.eval().training


def test_a_replica_of_data_parallel_takes_its_submodules() -> None:
    """`torch.nn.parallel.replicate` assigns each submodule with setattr."""
    inverter = MelInverter("hifigan_22k")
    replica = inverter._replicate_for_data_parallel()
    for name, module in inverter._modules.items():
        setattr(replica, name, module)
    mel = torch.linspace(-8.0, -2.0, 640).reshape(80, 8)
    torch.testing.assert_close(replica(mel), inverter(mel))


@pytest.mark.parametrize("check", [True, False])
def test_tensors_without_values_are_refused(check):
    inverter = MelInverter(TINY_LOG, n_iter=1, check=check)
    for module, given in ((inverter, LOG_MEL), (MelSpectrogram(TINY_LOG), WAVEFORM)):
        with pytest.raises(InputError, match="is a meta tensor"):
            module(given.to("meta"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_init_waveform_must_be_finite(value):
    waveform = WAVEFORM.clone()
    waveform[1, 7] = value
    with pytest.raises(InputError, match="init_waveform has NaN or infinite values"):
        MelInverter(TINY_LOG, n_iter=1)(LOG_MEL, init_waveform=waveform)
