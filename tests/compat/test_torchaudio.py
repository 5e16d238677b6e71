"""`compat.torchaudio` against torchaudio: signatures, attributes, checkpoints, numbers."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
import warnings

import pytest
import torch
import torchaudio.functional
import torchaudio.transforms as reference

from tests.problems import tones
from torchmelinv.compat import torchaudio as compat
from torchmelinv.conventions.interop import from_torchaudio
from torchmelinv.errors import EmptyFilterWarning, InputError

SMALL = {"n_fft": 128, "hop_length": 32}
CLASSES = [name for name in compat.__all__ if inspect.isclass(getattr(compat, name))]
pytestmark = pytest.mark.filterwarnings(
    "ignore:At least one mel filterbank:UserWarning",  # torchaudio's, for empty filters
    "ignore:.* mel filters are empty:UserWarning",
    "ignore:`torch.jit:DeprecationWarning",
)


def deviation(result, expected):
    """Return the largest difference, relative to the peak."""
    return float((result - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", CLASSES)
def test_signatures_and_attributes(name):
    given = {"n_stft": 201} if name == "InverseMelScale" else {}
    for method in ("__init__", "forward"):
        parameters, expected = (
            inspect.signature(getattr(getattr(library, name), method)).parameters.values()
            for library in (compat, reference)
        )
        assert [(each.name, each.default, each.kind) for each in parameters] == [
            (each.name, each.default, each.kind) for each in expected
        ]
    module, original = getattr(compat, name)(**given), getattr(reference, name)(**given)
    for attribute, value in vars(original).items():
        if not attribute.startswith("_"):
            assert getattr(module, attribute) == value, attribute
    assert module.state_dict().keys() == original.state_dict().keys()
    module.load_state_dict(original.state_dict())
    original.load_state_dict(module.state_dict())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"power": 1.0, "normalized": True, "mel_scale": "slaney"},
        {"power": 3.0, "normalized": "frame_length", "center": False, "pad": 10},
        {"pad_mode": "replicate", "n_fft": 401, "sample_rate": 11025, "norm": "slaney"},
        {
            "window_fn": torch.hamming_window,
            "wkwargs": {"periodic": False},
            "win_length": 301,
            "f_min": 40.0,
            "f_max": 7000.0,
        },
        {
            "mel_scale": "slaney",
            "norm": "slaney",
            "n_mels": 40,
            "hop_length": 100,
            "normalized": "window",
        },
    ],
    ids=str,
)
def test_mel_spectrogram_is_torchaudios(settings):
    module, original = compat.MelSpectrogram(**settings), reference.MelSpectrogram(**settings)
    waveform = tones(3000, (2, 1))
    assert torch.equal(module.mel_scale.fb, original.mel_scale.fb)
    assert deviation(module(waveform), original(waveform)) < 1e-6
    module, original, waveform = module.double(), original.double(), waveform.double()
    assert deviation(module(waveform), original(waveform)) < 1e-14


def test_complex_spectrogram():
    waveform = tones(1000)
    result, expected = (
        library.Spectrogram(power=None, onesided=False)(waveform) for library in (compat, reference)
    )
    torch.testing.assert_close(result, expected)
    with pytest.warns(UserWarning, match="return_complex does nothing"):
        compat.Spectrogram(return_complex=True)


@pytest.mark.parametrize("n_iter", [0, 1, 30])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_fft": 401, "momentum": 0.0},
        {"n_fft": 200, "hop_length": 40, "power": 1.0, "length": 3000},
        {"win_length": 300, "hop_length": 70, "window_fn": torch.hamming_window},
    ],
    ids=str,
)
def test_griffin_lim_from_zero_phases_is_torchaudios(settings, n_iter):
    """30 iterations amplify the rounding of float64 a thousand times."""
    analysis = {
        name: value for name, value in settings.items() if name not in ("momentum", "length")
    }
    specgram = reference.Spectrogram(**analysis).double()(tones(3000, (2, 1), torch.float64))
    result, expected = (
        library.GriffinLim(n_iter=n_iter, rand_init=False, **settings).double()(specgram)
        for library in (compat, reference)
    )
    assert result.shape == expected.shape
    assert deviation(result, expected) < 1e-10


def test_griffinlim_is_torchaudios():
    assert list(inspect.signature(compat.griffinlim).parameters) == list(
        inspect.signature(torchaudio.functional.griffinlim).parameters
    )
    window = torch.hamming_window(301, dtype=torch.float64)
    specgram = reference.Spectrogram(401, 301, 70, power=1.5).double()(
        tones(3000, (2, 1), torch.float64)
    )
    for length in (None, 3000):
        result, expected, scripted = (
            function(specgram, window, 401, 70, 301, 1.5, 8, 0.9, length, False)
            for function in (
                compat.griffinlim,
                torchaudio.functional.griffinlim,
                torch.jit.script(compat.griffinlim),
            )
        )
        assert result.shape == expected.shape
        assert deviation(result, expected) < 1e-10
        assert torch.equal(result, scripted)
    torch.manual_seed(1)
    result = compat.griffinlim(specgram, window, 401, 70, 301, 1.5, 8, 0.9, None, True)
    transform = compat.GriffinLim(401, 8, 301, 70, torch.hamming_window, 1.5, momentum=0.9).double()
    transform.window.copy_(window)
    torch.manual_seed(1)
    assert torch.equal(result, transform(specgram))


def test_random_phases_follow_torchs_global_generator():
    specgram = reference.Spectrogram(**SMALL)(tones(2000))
    transform = compat.GriffinLim(**SMALL, n_iter=20)
    torch.manual_seed(1)
    first = transform(specgram)
    assert not torch.equal(transform(specgram), first)
    torch.manual_seed(1)
    assert torch.equal(transform(specgram), first)

    def distance(waveform):
        return (reference.Spectrogram(**SMALL, power=1)(waveform) - specgram.sqrt()).norm()

    torch.manual_seed(1)
    assert distance(first) < 1.1 * distance(reference.GriffinLim(**SMALL, n_iter=20)(specgram))


def test_inverse_has_the_mel_where_torchaudios_has_not():
    settings = {"n_mels": 40, "sample_rate": 8000}
    spectrum = reference.Spectrogram(**SMALL)(tones(3000, (2,)))
    scale = compat.MelScale(n_stft=65, **settings)
    mel = scale(spectrum)
    results = [
        library.InverseMelScale(65, **settings, driver="gelsd")(mel)
        for library in (compat, reference)
    ]
    errors = [(scale(result) - mel).norm() / mel.norm() for result in results]
    assert errors[0] < 1e-4 < errors[1]
    assert (results[0] >= 0).all()


def test_inverse_never_fails():
    mel = torch.randn(3, 2, 32, 7)
    # far more bands than bins; one bin for all bands
    for settings in ((5, 32), (201, 32, 8000, 100.0, 200.0)):
        spectrogram = compat.InverseMelScale(*settings)(mel)
        assert spectrogram.shape == (3, 2, settings[0], 7)
        assert spectrogram.isfinite().all()
        assert (spectrogram >= 0).all()
    assert (compat.InverseMelScale(201, 32)(torch.zeros(32, 3)) == 0).all()


def test_results_follow_the_buffers():
    """The window and the filters of a checkpoint replace those of the arguments."""
    waveform, other = tones(2000), {"window_fn": torch.hamming_window}
    specgram = reference.Spectrogram(**SMALL, **other)(waveform)
    transform, loaded = (
        compat.GriffinLim(**SMALL, rand_init=False, **each) for each in ({}, other)
    )
    before = transform(specgram)
    transform.load_state_dict(loaded.state_dict())
    assert torch.equal(transform(specgram), loaded(specgram))
    assert not torch.equal(transform(specgram), before)
    inverse = compat.InverseMelScale(65, 20)
    inverse(torch.rand(20, 3))
    inverse.fb.mul_(2)
    torch.testing.assert_close(
        inverse.fb.T @ inverse(torch.ones(20, 3)), torch.ones(20, 3), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CLASSES)
def test_torchscript(name, dtype):
    settings = {"GriffinLim": {**SMALL, "rand_init": False}, "MelScale": {"n_stft": 65}}
    settings["InverseMelScale"] = {"n_stft": 65, "n_mels": 20}
    shapes = {"InverseMelScale": (2, 20, 5), "MelSpectrogram": (2, 1000), "Spectrogram": (2, 1000)}
    module = getattr(compat, name)(**settings.get(name, {})).to(dtype)
    argument = torch.rand(*shapes.get(name, (2, 65, 5)), dtype=dtype)
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    assert torch.equal(torch.jit.load(file)(argument), module(argument))


def test_gradients():
    torch.manual_seed(0)
    transform = compat.GriffinLim(n_fft=16, hop_length=4, n_iter=2, rand_init=False).double()
    inverse = compat.InverseMelScale(17, 5).double()
    for module, shape in ((transform, (9, 4)), (inverse, (5, 2))):
        argument = torch.rand(*shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(module, argument)
        assert torch.autograd.gradgradcheck(module, argument)
    silence = torch.zeros(2, 9, 5, requires_grad=True)
    transform.float()(silence).sum().backward()
    assert (silence.grad == 0).all()


@pytest.mark.parametrize(
    ("module", "n_rows"),
    [
        (compat.GriffinLim(n_fft=64, n_iter=2, rand_init=False), 33),
        (compat.InverseMelScale(n_stft=33, n_mels=8, sample_rate=8000), 8),
    ],
)
def test_gradients_of_each_sample(module, n_rows):
    leaf = torch.rand(2, n_rows, 6, requires_grad=True)

    def total(x):
        return module(x).square().sum()

    (expected,) = torch.autograd.grad(total(leaf), leaf)
    x = leaf.detach()
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(total))(x), expected)
    torch.testing.assert_close(torch.func.vmap(module)(x), module(x))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(torch.func.grad(total)(x), expected)
    with pytest.raises(InputError, match=r"jvp of .* is not supported"):
        torch.func.jvp(module, (x,), (x,))


def test_exported_griffin_lim_has_no_operators_of_this_package():
    module = compat.GriffinLim(64, 2, 48, 12, torch.hamming_window, rand_init=False)
    sizes = ({0: torch.export.Dim("batch"), 2: torch.export.Dim("time", min=8, max=4096)},)
    program = torch.export.export(module, (torch.rand(2, 33, 20),), dynamic_shapes=sizes)
    assert "torchmelinv" not in program.graph_module.code
    specgram = torch.rand(3, 33, 47)
    torch.testing.assert_close(program.module()(specgram), module(specgram))


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_gradients_of_silence_are_finite(power):
    waveform = torch.cat([tones(1000), torch.zeros(1000)]).requires_grad_()
    module, original = compat.MelSpectrogram(power=power), reference.MelSpectrogram(power=power)
    mel = module(waveform)
    assert deviation(mel.detach(), original(waveform).detach()) < 1e-6
    mel.sum().backward()
    assert waveform.grad.isfinite().all()
    assert (waveform.grad[:500] != 0).any()
    scripted = torch.jit.script(module)
    assert torch.equal(scripted(waveform), mel)


def test_from_torchaudio_reads_the_convention():
    settings = {"sample_rate": 22050, "n_mels": 40, "f_max": 8000.0, **SMALL}
    assert from_torchaudio(compat.MelSpectrogram(**settings)) == from_torchaudio(
        reference.MelSpectrogram(**settings)
    )


def test_errors_and_warnings():
    for make in (
        lambda: compat.GriffinLim(momentum=1.0),
        lambda: compat.MelScale(f_min=8000.0),
        lambda: compat.MelScale(norm="area"),
        lambda: compat.MelScale(mel_scale="kaldi"),
        lambda: compat.InverseMelScale(201, driver="lapack"),
        lambda: compat.MelSpectrogram(normalized="energy"),
        lambda: compat.InverseMelScale(201, 64)(torch.rand(32, 4)),
        lambda: compat.GriffinLim()(torch.rand(6, 201)),
        lambda: compat.InverseMelScale(201, f_min=9000.0),
        lambda: compat.griffinlim(
            torch.rand(65, 4), torch.ones(128), 128, 32, 128, 1.0, 2, 1.0, None, False
        ),
        lambda: compat.griffinlim(
            torch.rand(65, 4), torch.ones(128), 128, 32, 100, 1.0, 2, 0.9, None, False
        ),
    ):
        with pytest.raises(InputError):
            make()
        with pytest.raises(ValueError):  # noqa: PT011  as torchaudio
            make()
    with pytest.warns(UserWarning, match="onesided does nothing"):
        compat.MelSpectrogram(onesided=True)


@pytest.mark.parametrize("name", ["MelScale", "InverseMelScale", "MelSpectrogram"])
def test_empty_filters_warn_where_torchaudio_warns(name):
    geometry = {"n_fft": 128} if name == "MelSpectrogram" else {"n_stft": 65}
    with pytest.warns(UserWarning, match="mel filterbank has all zero values"):
        getattr(reference, name)(**geometry)
    with pytest.warns(EmptyFilterWarning, match="of the 128 mel filters are empty") as caught:
        getattr(compat, name)(**geometry)
    assert [warning.filename for warning in caught] == [__file__]
    for library in (compat, reference):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            getattr(library, name)(**geometry, n_mels=16)


def test_originals_are_not_imported():
    program = (
        "import sys, torchmelinv.compat.torchaudio\n"
        "assert not {'torchaudio', 'librosa', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
