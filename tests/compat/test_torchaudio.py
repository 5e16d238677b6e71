"""`compat.torchaudio`: signatures and attributes of torchaudio, TorchScript, gradients, errors."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
import warnings

import pytest
import torch
import torchaudio.transforms as reference

from tests.compat.torchaudio.deviation import SMALL
from tests.problems import tones
from torchmelinv.compat import torchaudio as compat
from torchmelinv.errors import EmptyFilterWarning, InputError

CLASSES = [name for name in compat.__all__ if inspect.isclass(getattr(compat, name))]
pytestmark = pytest.mark.filterwarnings(
    "ignore:At least one mel filterbank:UserWarning",  # torchaudio's, for empty filters
    "ignore:.* mel filters are empty:UserWarning",
    "ignore:`torch.jit:DeprecationWarning",
)


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
