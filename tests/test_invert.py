"""MelInverter: the whole path, its options, and what it must survive: pickling, compiling, autocast, other dtypes."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer, take_back_offset
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.functional import mel_error_db, mel_to_mfcc, mel_to_waveform, mfcc_to_waveform
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.presets import preset, preset_names

WAVEFORM = tones(1600, (2,))
LOG = MelAnalyzer(TINY_LOG)(WAVEFORM)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_makes_the_way_there_and_back(name):
    convention = preset(name)
    analyzer = MelAnalyzer(convention)
    waveform = 0.5 * tones(4 * max(convention.n_fft, 2048))
    mel = analyzer(waveform)
    back = MelInverter(convention, n_iter=4)(mel)
    assert back.shape == (convention.n_samples(mel.shape[-1]),)
    assert back.isfinite().all()
    full = MelInverter(convention, n_iter=16)(mel, length=len(waveform))
    assert full.shape == waveform.shape
    if not convention.level.reference_max:
        assert mel_error_db(analyzer.linear(full), analyzer.linear(waveform)) < -6


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("start", ["zero", "random"])
def test_every_pairing(magnitude, phase, start):
    waveform = MelInverter(TINY_LOG, magnitude, phase, 6, start=start)(LOG)
    assert waveform.shape == (2, TINY_LOG.n_samples(LOG.shape[-1]))
    analyzer = MelAnalyzer(TINY_LOG)
    assert (mel_error_db(analyzer.linear(waveform), LOG.exp()) < (-4 if magnitude in ("transpose", "pinv") else -7)).all()


def test_the_default_is_better_than_its_parts_make_it_without():
    analyzer = MelAnalyzer(TINY_LOG)

    def error(**options):
        return mel_error_db(analyzer.linear(MelInverter(TINY_LOG, **options)(LOG)), LOG.exp()).mean()

    assert error() < error(magnitude="transpose") - 1
    assert error() < error(phase="fast_griffin_lim") - 3
    assert error() < error(start="random") - 2
    assert error() < error(n_iter=4)


def test_magnitude_is_that_of_the_waveform():
    waveform = tones(1600, dtype=torch.float64)
    for convention in (TINY, TINY_POWER, TINY_LOG):
        analyzer = MelAnalyzer(convention)
        found = MelInverter(convention).to_magnitude(analyzer(waveform))
        seen = analyzer.filterbank((found.square() + convention.magnitude_offset).sqrt() ** convention.power)
        assert mel_error_db(seen, analyzer.linear(waveform)) < -90


def test_offset_is_taken_back():
    magnitude = torch.tensor([[0.0, 1e-3, 0.5]], dtype=torch.float64)
    for power in (1.0, 2.0, 0.5):
        convention = TINY.replace(magnitude_offset=1e-5, power=power)
        seen = (magnitude.square() + 1e-5) ** (power / 2)
        torch.testing.assert_close(take_back_offset(seen, convention), magnitude, atol=1e-9, rtol=1e-9)
    assert (take_back_offset(torch.zeros(1, 3), TINY.replace(magnitude_offset=1e-5)) == 0).all()


def test_silence():
    assert (MelInverter(TINY, n_iter=4)(torch.zeros(2, 16, 20)) == 0).all()
    floor = MelAnalyzer(TINY_LOG)(torch.zeros(1600))
    assert MelInverter(TINY_LOG)(floor).abs().max() < 2e-3


@pytest.mark.parametrize("name", preset_names())
def test_a_mel_at_its_floor_is_quiet(name):
    convention = preset(name)
    mel = MelAnalyzer(convention)(torch.zeros(2 * convention.n_fft))
    if not convention.level.reference_max:
        assert MelInverter(convention, n_iter=8)(mel).abs().max() < 6e-3


def test_what_is_not_finite_stays_visible():
    """With the checks left out, as in a compiled model, a NaN must not come out as silence."""
    for convention in (TINY, TINY_LOG, TINY_POWER):
        waveform = tones(1600)
        waveform[700] = float("nan")
        mel = MelAnalyzer(convention)(waveform)
        assert mel.isnan().any()
        assert MelInverter(convention, n_iter=2, check=False)(mel).isnan().any()


def test_made_under_inference_mode_and_used_in_training():
    convention = TINY_LOG.replace(n_mels=17)
    with torch.inference_mode():
        inverter = MelInverter(convention, n_iter=2)
        inverter(torch.randn(17, 9))
    for magnitude in MAGNITUDES:
        for twin in (inverter, MelInverter(convention, magnitude, n_iter=2)):
            mel = (torch.randn(17, 9, dtype=torch.float64) - 5).requires_grad_()
            twin(mel).square().sum().backward()
            assert mel.grad.isfinite().all()


def test_no_gradient_is_none_at_all():
    mel = LOG.clone().requires_grad_()
    for n_iter in (0, 2):
        assert not MelInverter(TINY_LOG, n_iter=n_iter, gradient="none")(mel).requires_grad


def test_second_derivatives_are_refused():
    mel = LOG.clone().requires_grad_()
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(MelInverter(TINY_LOG, n_iter=1)(mel).square().sum(), mel, create_graph=True)


def test_one_frame():
    for name in ("hifigan_22k", "librosa_melspectrogram", "kaldi_fbank"):
        inverter = MelInverter(name, n_iter=3)
        mel = MelAnalyzer(name)(tones(4000))[:, :1]
        waveform = inverter(mel)
        assert waveform.shape == (inverter.convention.hop_length,)
        assert waveform.isfinite().all()


def test_solution_is_forward_with_its_account():
    inverter = MelInverter(TINY_LOG, n_iter=9)
    solution = inverter.solve(LOG)
    assert torch.equal(solution.waveform, inverter(LOG))
    assert solution.history.shape == (9, 2)
    assert solution.residual.shape == solution.steps.shape == solution.converged.shape == (2,)
    assert (solution.history[-1] < solution.history[0]).all()
    stopped = MelInverter(TINY_LOG, n_iter=500, tolerance=2e-2).solve(LOG)
    assert stopped.converged.all()
    assert (stopped.steps < 500).all()
    assert torch.equal(stopped.waveform, MelInverter(TINY_LOG, n_iter=500, tolerance=2e-2)(LOG))


def test_a_given_waveform_lends_its_phase():
    inverter = MelInverter(TINY_LOG, n_iter=0)
    lent = inverter(LOG, start_waveform=WAVEFORM)
    analyzer = MelAnalyzer(TINY_LOG)
    found, true = analyzer.frame.analyse(lent), analyzer.frame.analyse(WAVEFORM)
    alike = (found * true.conj()).real.sum() / (found.abs() * true.abs()).sum()
    assert alike > 0.95
    assert not torch.equal(lent, inverter(LOG))


def test_seeds_are_deterministic_and_matter():
    same = MelInverter(TINY_LOG, n_iter=2, start="random")(LOG)
    assert torch.equal(same, MelInverter(TINY_LOG, n_iter=2, start="random")(LOG))
    assert not torch.equal(same, MelInverter(TINY_LOG, n_iter=2, start="random", seed=1)(LOG))


def test_one_call():
    assert torch.equal(mel_to_waveform(LOG, TINY_LOG, n_iter=2, length=1000), MelInverter(TINY_LOG, n_iter=2)(LOG, length=1000))


@pytest.mark.parametrize("settings", [{"n_mfcc": 16}, {"n_mfcc": 7, "lifter": 22}, {"n_mfcc": 5, "norm": None}])
def test_mfccs_become_a_waveform_that_has_them(settings):
    convention = MfccConvention(mel=TINY_LOG, **settings)
    mfcc = mel_to_mfcc(LOG, convention)
    waveform = mfcc_to_waveform(mfcc, convention, length=1600)
    assert waveform.shape == WAVEFORM.shape
    again = mel_to_mfcc(MelAnalyzer(TINY_LOG)(waveform), convention)
    error = (again - mfcc).square().sum() / (mfcc - mfcc.mean((-2, -1), keepdim=True)).square().sum()
    assert error < 1e-3  # found: up to 3e-4
    assert torch.equal(mfcc_to_waveform(mfcc[1], convention, length=1600), waveform[1])
    if convention.n_mfcc == 16:
        assert (mel_error_db(MelAnalyzer(TINY_LOG).linear(waveform), LOG.exp()) < -20).all()


def test_mfccs_of_a_padded_batch_with_gradients():
    convention = MfccConvention(mel=TINY_LOG, n_mfcc=7)
    mfcc = mel_to_mfcc(LOG.double(), convention)
    mfcc[1, :, 20:] = torch.nan  # what stands there is nobody's
    mfcc.requires_grad_()
    waveform = mfcc_to_waveform(mfcc, convention, n_iter=4, lengths=torch.tensor([mfcc.shape[-1], 20]))
    alone = mfcc_to_waveform(mfcc[1, :, :20], convention, n_iter=4)
    torch.testing.assert_close(waveform[1, : len(alone)], alone, atol=1e-8, rtol=0)
    (gradient,) = torch.autograd.grad(waveform.square().sum(), mfcc)
    assert gradient.isfinite().all()
    assert (gradient[1, :, 20:] == 0).all()


def test_mfccs_of_silence_and_of_nothing():
    convention = MfccConvention(mel=TINY_LOG, n_mfcc=7)
    mfcc = mel_to_mfcc(MelAnalyzer(TINY_LOG)(torch.zeros(1600)), convention)
    assert mfcc_to_waveform(mfcc, convention).abs().max() < 0.006
    with pytest.raises(InputError, match="NaN or infinite values, first in frame 3"):
        mfcc_to_waveform(torch.where(torch.arange(mfcc.shape[-1]) == 3, torch.nan, mfcc), convention)
    with pytest.raises(ConventionError, match="MFCCs need an MfccConvention"):
        mfcc_to_waveform(mfcc, TINY_LOG)


def test_copies_pickles_states_and_moves():
    inverter = MelInverter(TINY_LOG, n_iter=2, seed=5)
    expected = inverter(LOG)
    moved = MelInverter(TINY_LOG, n_iter=2, seed=5).to("cpu").double()
    moved.load_state_dict(inverter.state_dict())
    for twin in (copy.deepcopy(inverter), pickle.loads(pickle.dumps(inverter)), moved):
        assert torch.equal(twin(LOG), expected)
    assert MelConvention.from_json(inverter.convention.to_json()) == TINY_LOG
    assert "entropic" in repr(inverter)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precisions_are_computed_in_single(dtype):
    result = MelInverter(TINY_LOG, n_iter=3)(LOG.to(dtype))
    assert result.dtype == torch.float32
    assert torch.equal(result, MelInverter(TINY_LOG, n_iter=3)(LOG.to(dtype).float()))


def test_double_stays_double_and_single_agrees_with_it():
    inverter = MelInverter(TINY_LOG, n_iter=1)
    exact = inverter(LOG.double())
    assert exact.dtype == torch.float64
    assert (inverter(LOG) - exact).abs().max() <= 1e-4 * exact.abs().max()


def test_autocast_changes_nothing():
    inverter = MelInverter(TINY_LOG, n_iter=3)
    expected = inverter(LOG)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(inverter(LOG), expected)
        assert torch.equal(MelAnalyzer(TINY_LOG)(WAVEFORM), LOG)


class Model(nn.Module):
    """Something to compile around an inverter."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.inverter = MelInverter(TINY, n_iter=3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        mel = nn.functional.softplus(self.layer(features)).mT
        return self.inverter(mel).square().mean()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # the compiler looks at every input's
def test_compiled_models_equal_eager_ones_and_seen_shapes_are_not_compiled_again():
    model = Model()
    features = torch.randn(2, 20, 16)
    eager = model(features)
    (gradient,) = torch.autograd.grad(eager, model.layer.weight)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(model, backend="eager")
    loss = compiled(features)
    torch.testing.assert_close(loss, eager)
    torch.testing.assert_close(torch.autograd.grad(loss, model.layer.weight)[0], gradient)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert graphs > 0
    for _ in range(3):
        compiled(torch.randn(2, 20, 16))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
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
        ({"start": "warm"}, "'zero', 'random'"),
        ({"momentum": -1}, "momentum"),
        ({"tolerance": 0}, "tolerance"),
        ({"gradient": "all"}, "gradient"),
    ],
)
def test_options_that_are_none(options, message):
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, **options)


def test_calls_that_make_no_sense():
    inverter = MelInverter(TINY_LOG, n_iter=1)
    for length in (0, -5, 2.5, True):
        with pytest.raises(InputError, match="length"):
            inverter(LOG, length=length)
    with pytest.raises(InputError, match="start_waveform"):
        inverter(LOG, start_waveform=WAVEFORM[0])
    with pytest.raises(InputError, match="move one of them"):
        inverter(LOG, start_waveform=WAVEFORM.to("meta"))
    with pytest.raises(ConventionError, match="did you mean"):
        MelInverter("hifigan")
