"""librosa's names beside librosa itself: signatures, shapes, dtypes, numbers, errors; and where ours differ, how."""

from __future__ import annotations

import inspect
import sys

import librosa
import numpy as np
import pytest
import scipy.optimize
import torch

from tests.problems import tones
from torchmelinv.compat import librosa as ours
from torchmelinv.errors import InputError, LevelWarning, TorchmelinvError

THEIRS = {
    "griffinlim": librosa.griffinlim,
    "nnls": librosa.util.nnls,
    "mel_to_stft": librosa.feature.inverse.mel_to_stft,
    "mel_to_audio": librosa.feature.inverse.mel_to_audio,
    "mfcc_to_mel": librosa.feature.inverse.mfcc_to_mel,
    "mfcc_to_audio": librosa.feature.inverse.mfcc_to_audio,
}
WAVE = tones(4000, dtype=torch.float64).numpy()
BASIC = {"sr": 8000, "n_fft": 512}


def mel_of(wave, dtype=np.float32, **options):
    return librosa.feature.melspectrogram(y=wave, n_mels=40, **{**BASIC, **options}).astype(dtype)


def deviation(one, other):
    """Largest difference, relative to the peak."""
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    return np.abs(one - other).max() / np.abs(other).max()


@pytest.mark.parametrize("name", THEIRS)
def test_signatures(name):
    one, other = (inspect.signature(each).parameters for each in (getattr(ours, name), THEIRS[name]))
    assert [(each.name, each.default, each.kind) for each in one.values()] == [
        (each.name, each.default, each.kind) for each in other.values()
    ]


@pytest.mark.parametrize("n_iter", [0, 1, 30])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_fft": 511, "hop_length": 100, "window": "hamming", "pad_mode": "reflect"},
        {"win_length": 300, "window": ("kaiser", 6.0), "momentum": 0},
        {"window": "rect", "length": 4000, "init": None},
        {"window": np.blackman, "hop_length": 64},
    ],
    ids=str,
)
def test_griffinlim_is_theirs_for_the_same_random_numbers(settings, n_iter):
    """30 iterations multiply float64's rounding by a thousand."""
    analysis = {name: value for name, value in settings.items() if name not in ("momentum", "length", "init", "n_fft")}
    magnitude = np.abs(librosa.stft(np.stack([WAVE, WAVE[::-1]]), n_fft=settings.get("n_fft", 512), **analysis))
    one, other = (each(magnitude, n_iter=n_iter, random_state=5, **settings) for each in (ours.griffinlim, librosa.griffinlim))
    assert deviation(one, other) < 1e-10


@pytest.mark.parametrize("length", [None, 3000, 5000])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("dtype", [None, np.float32, np.float64])
def test_lengths_and_dtypes_are_theirs(length, center, dtype):
    magnitude = np.abs(librosa.stft(WAVE.astype(np.float32), n_fft=512, center=center))
    options = {"length": length, "center": center, "dtype": dtype, "n_iter": 0}  # later librosa refuses a length that cuts frames
    one, other = (each(magnitude, **options) for each in (ours.griffinlim, librosa.griffinlim))
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    found = ours.griffinlim(magnitude, **{**options, "n_iter": 5})
    assert found.shape == one.shape
    assert np.abs(found).max() < 10  # librosa divides by the window's own zeros where nothing is padded


def test_starts():
    spectrum = librosa.stft(WAVE, n_fft=512)
    lent = ours.griffinlim(spectrum, init=None, n_iter=0)
    np.testing.assert_allclose(lent, librosa.istft(spectrum), atol=1e-12)
    for state in (3, np.int64(3), np.random.RandomState(3)):
        found = ours.griffinlim(np.abs(spectrum), n_iter=2, random_state=state)
        np.testing.assert_array_equal(found, ours.griffinlim(np.abs(spectrum), n_iter=2, random_state=3))
    generators = [np.random.default_rng(1) for _ in range(2)]
    first, second = (ours.griffinlim(np.abs(spectrum), n_iter=2, random_state=each) for each in generators)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(*(ours.griffinlim(np.abs(spectrum), n_iter=2) for _ in range(2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "filters",
    [{}, {"htk": True, "norm": None}, {"norm": 1, "fmin": 50.0}, {"norm": np.inf, "fmax": 3000.0}, {"norm": 2, "fmax": 5000.0}],
    ids=str,
)
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning")
def test_the_magnitude_has_the_mel(dtype, filters, power):
    basis = librosa.filters.mel(n_mels=40, dtype=np.float64, **BASIC, **filters)
    mel = (basis @ np.abs(librosa.stft(np.stack([WAVE, WAVE[::-1]]), n_fft=512))[..., 9:11] ** power).astype(dtype)
    found = [each(mel, power=power, **BASIC, **filters) for each in (ours.mel_to_stft, librosa.feature.inverse.mel_to_stft)]
    assert found[0].dtype == dtype
    assert found[0].shape == found[1].shape
    assert (found[0] >= 0).all()
    errors = [np.linalg.norm(basis @ each**power - mel) / np.linalg.norm(mel) for each in found]
    assert errors[0] < max(2e-5, errors[1] / 10)
    np.testing.assert_allclose(found[0][1], ours.mel_to_stft(mel[1], power=power, **BASIC, **filters))


@pytest.mark.parametrize(
    "settings",
    [
        {"hop_length": 128},
        {"power": 1.0, "hop_length": 100, "length": 4000},
        {"window": "hamming", "win_length": 400, "hop_length": 100, "pad_mode": "reflect"},
        {"center": False, "hop_length": 128, "dtype": np.float64},
    ],
    ids=str,
)
def test_audio_comes_closer_than_theirs(settings):
    analysis = {name: value for name, value in settings.items() if name not in ("length", "dtype")}
    mel = mel_of(WAVE, **analysis)
    found = [each(mel, sr=8000, n_fft=512, **settings) for each in (ours.mel_to_audio, librosa.feature.inverse.mel_to_audio)]
    assert (found[0].shape, found[0].dtype) == (found[1].shape, found[1].dtype)
    inside = slice(4, -4) if settings.get("center") is False else slice(None)  # at the ends librosa's has no bound
    errors = [np.linalg.norm((mel_of(each, **analysis) - mel)[:, inside]) / np.linalg.norm(mel[:, inside]) for each in found]
    assert errors[0] < errors[1] / 3
    np.testing.assert_array_equal(found[0], ours.mel_to_audio(mel, sr=8000, n_fft=512, **settings))  # nothing is random


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"norm": None}, {"lifter": 22}, {"lifter": 3, "ref": 2.0}, {"dct_type": 3}, {"dct_type": 1, "norm": None},
        {"n_mels": 10},
    ],
    ids=str,
)
def test_mfccs(settings):
    mfcc = librosa.feature.mfcc(y=WAVE, sr=8000, n_fft=512, n_mels=40)
    assert deviation(*(each(mfcc, **{"n_mels": 40, **settings}) for each in (ours.mfcc_to_mel, THEIRS["mfcc_to_mel"]))) < 1e-9
    audio = ours.mfcc_to_audio(mfcc, **{"n_mels": 40, **settings}, **BASIC, n_iter=2, length=4000)
    assert audio.shape == (4000,)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()


def test_a_coefficient_that_the_lifter_lost():
    mfcc = librosa.feature.mfcc(y=WAVE, sr=8000, n_fft=512, n_mels=40)
    with pytest.warns(UserWarning, match=r"a lifter of 2 lost 5 of the coefficients"):
        assert np.isfinite(ours.mfcc_to_mel(mfcc, lifter=2)).all()


@pytest.mark.parametrize("shape", [(5, 7), (12, 7), (7, 200)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nnls_has_an_active_set_solvers_residual(shape, dtype):
    matrix, target = np.random.randn(*shape).astype(dtype), np.random.randn(2, shape[0], 6).astype(dtype)
    found = ours.nnls(matrix, target)
    assert found.shape == (2, shape[1], 6)
    assert found.dtype == dtype
    assert (found >= 0).all()
    residuals = np.linalg.norm(matrix.astype(np.float64) @ found - target, axis=-2)
    best = [[scipy.optimize.nnls(matrix, column)[1] for column in item.T] for item in target]
    assert (residuals - best).max() < 1e-5
    vector = ours.nnls(matrix, target[0, :, 0])
    np.testing.assert_allclose(vector, found[0, :, 0], atol=1e-6)
    assert vector.dtype == THEIRS["nnls"](matrix, target[0, :, 0]).dtype


@pytest.mark.parametrize("name", THEIRS)
def test_tensors_come_out_where_tensors_went_in(name):
    first = {"nnls": np.random.rand(40, 60), "griffinlim": np.random.rand(65, 6), "mfcc_to_mel": np.random.randn(13, 6)}
    arguments = [first.get(name, mel_of(WAVE[:1500], np.float64) if "mel" in name else np.random.randn(13, 6))]
    arguments += [np.random.rand(40, 5)] if name == "nnls" else []
    options = {"griffinlim": {"random_state": 0}, "mel_to_stft": BASIC, "mel_to_audio": BASIC}.get(name, {})
    array = getattr(ours, name)(*arguments, **options)
    tensors = [torch.from_numpy(each).requires_grad_() for each in arguments]
    tensor = getattr(ours, name)(*tensors, **options)
    assert isinstance(array, np.ndarray)
    assert tensor.dtype == torch.from_numpy(array).dtype
    np.testing.assert_array_equal(tensor.detach().numpy(), array)
    tensor.square().sum().backward()
    assert tensors[-1].grad.isfinite().all()
    assert (tensors[-1].grad != 0).any()


def test_arrays_as_they_come():
    mel = mel_of(WAVE)
    found = ours.mel_to_stft(mel, **BASIC)
    frozen = mel.copy()
    frozen.flags.writeable = False
    for same in (frozen, np.asfortranarray(mel), mel.astype(">f4"), mel[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(ours.mel_to_stft(same, **BASIC), found)
    whole = ours.griffinlim(np.ones((33, 4), dtype=np.int64), n_iter=1)
    assert whole.dtype == np.float32
    assert ours.mel_to_stft(mel.astype(np.float16), **BASIC).dtype == np.float32
    assert ours.griffinlim(torch.ones(33, 4), dtype=torch.float64).dtype == torch.float64


WRONG = [
    (lambda: ours.griffinlim(np.ones((33, 3)), momentum=-1), "momentum is -1"),
    (lambda: ours.griffinlim(np.ones((33, 3)), init="zeros"), "init is 'zeros'"),
    (lambda: ours.griffinlim(np.ones((33, 3)), random_state="seed"), "random_state is 'seed'"),
    (lambda: ours.griffinlim(np.ones((33, 3)), pad_mode="wrap"), "pad_mode is 'wrap'"),
    (lambda: ours.griffinlim(np.ones((33, 3)), window="hamster"), "window is 'hamster'"),
    (lambda: ours.griffinlim(np.ones((33, 3)), window=np.ones(5)), r"window has shape \(5,\)"),
    (lambda: ours.griffinlim(np.ones((33, 3)), hop_length=0), "hop_length is 0"),
    (lambda: ours.griffinlim(np.ones((33, 3)), n_fft=128), r"it must be \(…, 65, n_frames ≥ 1\)"),
    (lambda: ours.griffinlim(np.ones(33)), r"S has shape \(33,\)"),
    (lambda: ours.griffinlim(np.full((33, 3), np.nan)), "S holds values that are not finite"),
    (lambda: ours.griffinlim(np.array(["a", "b"])), "S is ndarray; it must be an array of numbers"),
    (lambda: ours.mel_to_stft(np.ones(40)), r"M has shape \(40,\)"),
    (lambda: ours.mel_to_stft(np.ones((40, 3)), power=0), "power is 0"),
    (lambda: ours.mel_to_stft(np.ones((40, 3)), norm="area"), "norm is 'area'"),
    (lambda: ours.mel_to_stft(np.ones((40, 3)), norm=-1), "norm is -1"),
    (lambda: ours.mel_to_stft(np.ones((40, 3)), fmin=9000, fmax=8000), "fmin must be below fmax"),
    (lambda: ours.mfcc_to_mel(np.ones((13, 3)), lifter=-1), "lifter is -1"),
    (lambda: ours.mfcc_to_mel(np.ones((13, 3)), lifter=np.nan), "lifter is nan"),
    (lambda: ours.mfcc_to_mel(np.ones((13, 3)), dct_type=4), "type 4"),
    (lambda: ours.nnls(np.ones((4, 3)), np.ones((5, 2))), r"B has shape \(5, 2\)"),
    (lambda: ours.nnls(np.ones((4, 3)), np.ones((4, 2)), pgtol=1e-9), "nnls takes no 'pgtol'"),
]


@pytest.mark.parametrize(("make", "words"), WRONG, ids=[words for _, words in WRONG])
def test_mistakes_are_ours_and_theirs(make, words, monkeypatch):
    for kind in (librosa.ParameterError, TorchmelinvError, ValueError):
        with pytest.raises(kind, match=words):
            make()
    monkeypatch.delitem(sys.modules, "librosa.util.exceptions")
    with pytest.raises(TorchmelinvError, match=words) as raised:
        make()
    assert not isinstance(raised.value, librosa.ParameterError)


def test_unknown_arguments_and_warnings():
    with pytest.raises(TypeError, match="f_max"):
        ours.mel_to_stft(np.ones((40, 3)), f_max=4000)
    with pytest.warns(UserWarning, match="momentum is 2; above 1"):
        ours.griffinlim(np.zeros((33, 3)), momentum=2)
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize("name", ["mel_to_stft", "mel_to_audio"])
def test_a_log_mel_is_not_taken_in_silence(name):
    with pytest.warns(LevelWarning, match="is this a log mel") as heard:
        getattr(ours, name)(np.full((16, 9), -3.0, dtype=np.float32), n_fft=256)
    assert heard[0].filename == __file__
