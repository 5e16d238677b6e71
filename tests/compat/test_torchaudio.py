"""torchaudio's names beside torchaudio itself: signatures, attributes, checkpoints, numbers; and where ours differ, how."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys

import pytest
import torch
import torchaudio.transforms as theirs

from tests.problems import tones
from torchmelinv.compat import torchaudio as ours
from torchmelinv.errors import InputError
from torchmelinv.interchange import from_torchaudio

NAMES = ("GriffinLim", "InverseMelScale", "MelScale", "MelSpectrogram", "Spectrogram")
SMALL = {"n_fft": 128, "hop_length": 32}
pytestmark = pytest.mark.filterwarnings(
    "ignore:At least one mel filterbank:UserWarning",  # torchaudio's word for what the next line ignores
    "ignore:.* filters reach none:UserWarning",
    "ignore:`torch.jit:DeprecationWarning",
)


def deviation(one, other):
    """Largest difference, relative to the peak."""
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_signatures_and_attributes(name):
    given = {"n_stft": 201} if name == "InverseMelScale" else {}
    for method in ("__init__", "forward"):
        one, other = (inspect.signature(getattr(getattr(side, name), method)).parameters for side in (ours, theirs))
        assert [(each.name, each.default, each.kind) for each in one.values()] == [
            (each.name, each.default, each.kind) for each in other.values()
        ]
    one, other = getattr(ours, name)(**given), getattr(theirs, name)(**given)
    for attribute, value in vars(other).items():
        if not attribute.startswith("_"):
            assert getattr(one, attribute) == value, attribute
    assert one.state_dict().keys() == other.state_dict().keys()
    one.load_state_dict(other.state_dict())
    other.load_state_dict(one.state_dict())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"power": 1.0, "normalized": True, "mel_scale": "slaney"},
        {"power": 3.0, "normalized": "frame_length", "center": False, "pad": 10},
        {"pad_mode": "replicate", "n_fft": 401, "sample_rate": 11025, "norm": "slaney"},
        {"window_fn": torch.hamming_window, "wkwargs": {"periodic": False}, "win_length": 301, "f_min": 40.0, "f_max": 7000.0},
        {"mel_scale": "slaney", "norm": "slaney", "n_mels": 40, "hop_length": 100, "normalized": "window"},
    ],
    ids=str,
)
def test_forward_is_theirs(settings):
    one, other = ours.MelSpectrogram(**settings), theirs.MelSpectrogram(**settings)
    waveform = tones(3000, (2, 1))
    assert torch.equal(one.mel_scale.fb, other.mel_scale.fb)
    assert deviation(one(waveform), other(waveform)) < 1e-6
    assert deviation(one.double()(waveform.double()), other.double()(waveform.double())) < 1e-14


def test_complex_spectrogram():
    waveform = tones(1000)
    one, other = (side.Spectrogram(power=None, onesided=False)(waveform) for side in (ours, theirs))
    torch.testing.assert_close(one, other)
    with pytest.warns(UserWarning, match="return_complex does nothing"):
        ours.Spectrogram(return_complex=True)


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
def test_griffin_lim_from_zero_phases_is_theirs(settings, n_iter):
    """30 iterations multiply float64's rounding by a thousand."""
    analysis = {name: value for name, value in settings.items() if name not in ("momentum", "length")}
    specgram = theirs.Spectrogram(**analysis).double()(tones(3000, (2, 1), torch.float64))
    one, other = (side.GriffinLim(n_iter=n_iter, rand_init=False, **settings).double()(specgram) for side in (ours, theirs))
    assert one.shape == other.shape
    assert deviation(one, other) < 1e-10


def test_random_starts_follow_torchs_global_generator():
    specgram = theirs.Spectrogram(**SMALL)(tones(2000))
    transform = ours.GriffinLim(**SMALL, n_iter=20)
    torch.manual_seed(1)
    first = transform(specgram)
    assert not torch.equal(transform(specgram), first)
    torch.manual_seed(1)
    assert torch.equal(transform(specgram), first)

    def distance(waveform):
        return (theirs.Spectrogram(**SMALL, power=1)(waveform) - specgram.sqrt()).norm()

    torch.manual_seed(1)
    assert distance(first) < 1.1 * distance(theirs.GriffinLim(**SMALL, n_iter=20)(specgram))


def test_the_inverse_has_the_mel_where_theirs_has_not():
    settings = {"n_mels": 40, "sample_rate": 8000}
    spectrum = theirs.Spectrogram(**SMALL)(tones(3000, (2,)))
    scale = ours.MelScale(n_stft=65, **settings)
    mel = scale(spectrum)
    found = [side.InverseMelScale(65, **settings, driver="gelsd")(mel) for side in (ours, theirs)]
    errors = [(scale(each) - mel).norm() / mel.norm() for each in found]
    assert errors[0] < 1e-4 < errors[1]
    assert (found[0] >= 0).all()


def test_the_inverse_never_fails():
    mel = torch.randn(3, 2, 32, 7)
    for settings in ((5, 32), (201, 32, 8000, 100.0, 200.0)):  # far more bands than bins; one bin for all bands
        found = ours.InverseMelScale(*settings)(mel)
        assert found.shape == (3, 2, settings[0], 7)
        assert found.isfinite().all()
        assert (found >= 0).all()
    assert (ours.InverseMelScale(201, 32)(torch.zeros(32, 3)) == 0).all()


def test_tables_follow_the_buffers():
    """A checkpoint's window and filters count, not those that the arguments would give."""
    waveform, other = tones(2000), {"window_fn": torch.hamming_window}
    specgram = theirs.Spectrogram(**SMALL, **other)(waveform)
    transform, loaded = (ours.GriffinLim(**SMALL, rand_init=False, **each) for each in ({}, other))
    before = transform(specgram)
    transform.load_state_dict(loaded.state_dict())
    assert torch.equal(transform(specgram), loaded(specgram))
    assert not torch.equal(transform(specgram), before)
    inverse = ours.InverseMelScale(65, 20)
    inverse(torch.rand(20, 3))
    inverse.fb.mul_(2)
    torch.testing.assert_close(inverse.fb.T @ inverse(torch.ones(20, 3)), torch.ones(20, 3), atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_torchscript(name, dtype):
    settings = {"GriffinLim": {**SMALL, "rand_init": False}, "MelScale": {"n_stft": 65}}
    settings["InverseMelScale"] = {"n_stft": 65, "n_mels": 20}
    shapes = {"InverseMelScale": (2, 20, 5), "MelSpectrogram": (2, 1000), "Spectrogram": (2, 1000)}
    module = getattr(ours, name)(**settings.get(name, {})).to(dtype)
    argument = torch.rand(*shapes.get(name, (2, 65, 5)), dtype=dtype)
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    assert torch.equal(torch.jit.load(file)(argument), module(argument))


def test_gradients():
    torch.manual_seed(0)
    transform = ours.GriffinLim(n_fft=16, hop_length=4, n_iter=2, rand_init=False).double()
    inverse = ours.InverseMelScale(17, 5).double()
    for module, shape in ((transform, (9, 4)), (inverse, (5, 2))):
        argument = torch.rand(*shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(module, argument)
        assert torch.autograd.gradgradcheck(module, argument)
    silence = torch.zeros(2, 9, 5, requires_grad=True)
    transform.float()(silence).sum().backward()
    assert (silence.grad == 0).all()


def test_a_convention_is_read_off():
    settings = {"sample_rate": 22050, "n_mels": 40, "f_max": 8000.0, **SMALL}
    assert from_torchaudio(ours.MelSpectrogram(**settings)) == from_torchaudio(theirs.MelSpectrogram(**settings))


def test_mistakes_and_warnings():
    for make in (
        lambda: ours.GriffinLim(momentum=1.0), lambda: ours.MelScale(f_min=8000.0), lambda: ours.MelScale(norm="area"),
        lambda: ours.MelScale(mel_scale="kaldi"), lambda: ours.InverseMelScale(201, driver="lapack"),
        lambda: ours.MelSpectrogram(normalized="energy"), lambda: ours.InverseMelScale(201, 64)(torch.rand(32, 4)),
        lambda: ours.GriffinLim()(torch.rand(6, 201)), lambda: ours.InverseMelScale(201, f_min=9000.0),
    ):
        with pytest.raises(InputError):
            make()
        with pytest.raises(ValueError):  # noqa: PT011  what code that moves over catches
            make()
    with pytest.warns(UserWarning, match="onesided does nothing"):
        ours.MelSpectrogram(onesided=True)
    with pytest.warns(UserWarning, match="of the 128 filters reach none of the 65 bins"):
        ours.MelScale(n_stft=65)


def test_torchaudio_stays_out():
    program = "import sys, torchmelinv.compat.torchaudio; assert not {'torchaudio', 'librosa', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
