"""`compat.librosa` against librosa: signatures, shapes, dtypes, numbers, errors."""

from __future__ import annotations

import inspect
import sys
import warnings

import librosa
import numpy as np
import pytest
import scipy.optimize
import torch

from tests.problems import tones
from torchmelinv.compat import librosa as compat
from torchmelinv.errors import (
    EmptyFilterWarning,
    InputError,
    MelValueWarning,
    TorchmelinvError,
)

REFERENCE = {
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


def deviation(result, expected):
    """Return the largest difference, relative to the peak."""
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    return np.abs(result - expected).max() / np.abs(expected).max()


def mel_error(basis, magnitude, power, mel):
    """Return the relative distance of a magnitude's mel from a mel."""
    return np.linalg.norm(basis @ magnitude**power - mel) / np.linalg.norm(mel)


@pytest.mark.parametrize("name", REFERENCE)
def test_signatures(name):
    parameters, expected = (
        {
            each.name: (each.default, each.kind)
            for each in inspect.signature(function).parameters.values()
        }
        for function in (getattr(compat, name), REFERENCE[name])
    )
    if "rng" not in expected:  # since librosa 1.0
        parameters.pop("rng", None)
    assert list(parameters.items()) == list(expected.items())


def test_all_names_are_compared():
    assert set(compat.__all__) == set(REFERENCE)


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
def test_griffinlim_is_librosas_for_the_same_random_numbers(settings, n_iter):
    """30 iterations amplify the rounding of float64 a thousand times."""
    inversion_only = ("momentum", "length", "init")
    analysis = {name: value for name, value in settings.items() if name not in inversion_only}
    magnitude = np.abs(librosa.stft(np.stack([WAVE, WAVE[::-1]]), **{"n_fft": 512, **analysis}))
    result, expected = (
        function(magnitude, n_iter=n_iter, random_state=5, **settings)
        for function in (compat.griffinlim, librosa.griffinlim)
    )
    assert deviation(result, expected) < 1e-10


@pytest.mark.parametrize("length", [None, 3000, 5000])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("dtype", [None, np.float32, np.float64])
def test_lengths_and_dtypes_are_librosas(length, center, dtype):
    magnitude = np.abs(librosa.stft(WAVE.astype(np.float32), n_fft=512, center=center))
    options = {"length": length, "center": center, "dtype": dtype}
    # With iterations, librosa refuses a length that cuts frames.
    result, expected = (
        function(magnitude, n_iter=0, **options)
        for function in (compat.griffinlim, librosa.griffinlim)
    )
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    result = compat.griffinlim(magnitude, n_iter=5, **options)
    assert result.shape == expected.shape
    # Without padding, librosa divides by the zeros of the window.
    assert np.abs(result).max() < 10


def test_initial_phases():
    spectrum = librosa.stft(WAVE, n_fft=512)
    magnitude = np.abs(spectrum)
    from_phases = compat.griffinlim(spectrum, init=None, n_iter=0)
    np.testing.assert_allclose(from_phases, librosa.istft(spectrum), atol=1e-12)
    expected = compat.griffinlim(magnitude, n_iter=2, random_state=3)
    for state in (3, np.int64(3), np.random.RandomState(3)):
        result = compat.griffinlim(magnitude, n_iter=2, random_state=state)
        np.testing.assert_array_equal(result, expected)
    first, second = (
        compat.griffinlim(magnitude, n_iter=2, random_state=np.random.default_rng(1))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(*(compat.griffinlim(magnitude, n_iter=2) for _ in range(2)))


def test_rng_is_a_seed_or_a_generator():
    magnitude = np.abs(librosa.stft(WAVE, n_fft=512))
    expected = librosa.griffinlim(magnitude, n_iter=2, random_state=np.random.default_rng(3))
    for rng in (3, np.int64(3), np.random.default_rng(3)):
        assert deviation(compat.griffinlim(magnitude, n_iter=2, rng=rng), expected) < 1e-10
    old = compat.griffinlim(magnitude, n_iter=2, rng=np.random.RandomState(3))
    np.testing.assert_array_equal(old, compat.griffinlim(magnitude, n_iter=2, random_state=3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"htk": True, "norm": None},
        {"norm": 1, "fmin": 50.0},
        {"norm": np.inf, "fmax": 3000.0},
        {"norm": 2, "fmax": 5000.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.filterwarnings(
    "ignore:Empty filters:UserWarning", "ignore:.* mel filters are empty:UserWarning"
)
def test_magnitude_has_the_mel(dtype, filters, power):
    basis = librosa.filters.mel(n_mels=40, dtype=np.float64, **BASIC, **filters)
    spectrum = librosa.stft(np.stack([WAVE, WAVE[::-1]]), n_fft=512)[..., 9:11]
    mel = (basis @ np.abs(spectrum) ** power).astype(dtype)
    options = {"power": power, **BASIC, **filters}
    result = compat.mel_to_stft(mel, **options)
    expected = librosa.feature.inverse.mel_to_stft(mel, **options)
    assert result.dtype == dtype
    assert result.shape == expected.shape
    assert (result >= 0).all()
    error, librosas = (mel_error(basis, each, power, mel) for each in (result, expected))
    assert error < max(2e-5, librosas / 10)
    np.testing.assert_allclose(result[1], compat.mel_to_stft(mel[1], **options))


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
def test_audio_comes_closer_than_librosas(settings):
    analysis = {name: value for name, value in settings.items() if name not in ("length", "dtype")}
    mel = mel_of(WAVE, **analysis)
    result = compat.mel_to_audio(mel, **BASIC, **settings)
    expected = librosa.feature.inverse.mel_to_audio(mel, **BASIC, **settings)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    # Without centered frames, librosa's signal has no bound at the ends.
    inside = slice(4, -4) if settings.get("center") is False else slice(None)
    error, librosas = (
        np.linalg.norm((mel_of(each, **analysis) - mel)[:, inside]) / np.linalg.norm(mel[:, inside])
        for each in (result, expected)
    )
    assert error < librosas / 3
    # nothing is random
    np.testing.assert_array_equal(result, compat.mel_to_audio(mel, **BASIC, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"norm": None},
        {"lifter": 22},
        {"lifter": 3, "ref": 2.0},
        {"dct_type": 3},
        {"dct_type": 1, "norm": None},
        {"n_mels": 10},
    ],
    ids=str,
)
def test_mfccs(settings):
    mfcc = librosa.feature.mfcc(y=WAVE, sr=8000, n_fft=512, n_mels=40)
    settings = {"n_mels": 40, **settings}
    result = compat.mfcc_to_mel(mfcc, **settings)
    assert deviation(result, librosa.feature.inverse.mfcc_to_mel(mfcc, **settings)) < 1e-9
    audio = compat.mfcc_to_audio(mfcc, **settings, **BASIC, n_iter=2, length=4000)
    assert audio.shape == (4000,)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()


def test_coefficients_lost_by_the_lifter_count_as_zero():
    mfcc = librosa.feature.mfcc(y=WAVE, sr=8000, n_fft=512, n_mels=40)
    with pytest.warns(UserWarning, match=r"a lifter of 2 lost 5 of the coefficients"):
        assert np.isfinite(compat.mfcc_to_mel(mfcc, lifter=2)).all()


@pytest.mark.parametrize("shape", [(5, 7), (12, 7), (7, 200)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nnls_has_the_residual_of_an_active_set_solver(shape, dtype):
    matrix = np.random.randn(*shape).astype(dtype)
    target = np.random.randn(2, shape[0], 6).astype(dtype)
    result = compat.nnls(matrix, target)
    assert result.shape == (2, shape[1], 6)
    assert result.dtype == dtype
    assert (result >= 0).all()
    residuals = np.linalg.norm(matrix.astype(np.float64) @ result - target, axis=-2)
    best = [[scipy.optimize.nnls(matrix, column)[1] for column in item.T] for item in target]
    assert (residuals - best).max() < 1e-5
    vector = compat.nnls(matrix, target[0, :, 0])
    np.testing.assert_allclose(vector, result[0, :, 0], atol=1e-6)
    assert vector.dtype == librosa.util.nnls(matrix, target[0, :, 0]).dtype


@pytest.mark.parametrize("name", REFERENCE)
def test_tensors_give_tensors_with_gradients(name):
    mel, mfcc = mel_of(WAVE[:1500], np.float64), np.random.randn(13, 6)
    arguments, options = {
        "nnls": ([np.random.rand(40, 60), np.random.rand(40, 5)], {}),
        "griffinlim": ([np.random.rand(65, 6)], {"random_state": 0}),
        "mel_to_stft": ([mel], BASIC),
        "mel_to_audio": ([mel], BASIC),
        "mfcc_to_mel": ([mfcc], {}),
        "mfcc_to_audio": ([mfcc], {}),
    }[name]
    array = getattr(compat, name)(*arguments, **options)
    tensors = [torch.from_numpy(argument).requires_grad_() for argument in arguments]
    tensor = getattr(compat, name)(*tensors, **options)
    assert isinstance(array, np.ndarray)
    assert tensor.dtype == torch.from_numpy(array).dtype
    np.testing.assert_array_equal(tensor.detach().numpy(), array)
    tensor.square().sum().backward()
    assert tensors[-1].grad.isfinite().all()
    assert (tensors[-1].grad != 0).any()


def test_memory_layouts_and_dtypes_of_arrays():
    mel = mel_of(WAVE)
    expected = compat.mel_to_stft(mel, **BASIC)
    read_only = mel.copy()
    read_only.flags.writeable = False
    for equal in (read_only, np.asfortranarray(mel), mel.astype(">f4"), mel[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(compat.mel_to_stft(equal, **BASIC), expected)
    assert compat.griffinlim(np.ones((33, 4), dtype=np.int64), n_iter=1).dtype == np.float32
    assert compat.mel_to_stft(mel.astype(np.float16), **BASIC).dtype == np.float32
    assert compat.griffinlim(torch.ones(33, 4), dtype=torch.float64).dtype == torch.float64


INVALID = [
    (lambda: compat.griffinlim(np.ones((33, 3)), momentum=-1), "momentum is -1"),
    (lambda: compat.griffinlim(np.ones((33, 3)), init="zeros"), "init is 'zeros'"),
    (lambda: compat.griffinlim(np.ones((33, 3)), random_state="seed"), "random_state is 'seed'"),
    (lambda: compat.griffinlim(np.ones((33, 3)), rng="seed"), "rng is 'seed'"),
    (lambda: compat.griffinlim(np.ones((33, 3)), rng=-1), "rng is -1"),
    (lambda: compat.griffinlim(np.ones((33, 3)), random_state=1, rng=1), "give one of them"),
    (lambda: compat.griffinlim(np.ones((33, 3)), pad_mode="wrap"), "pad_mode is 'wrap'"),
    (lambda: compat.griffinlim(np.ones((33, 3)), window="hamster"), "window is 'hamster'"),
    (lambda: compat.griffinlim(np.ones((33, 3)), window=np.ones(5)), r"window has shape \(5,\)"),
    (lambda: compat.griffinlim(np.ones((33, 3)), hop_length=0), "hop_length is 0"),
    (lambda: compat.griffinlim(np.ones((33, 3)), n_fft=128), r"it must be \(…, 65, n_frames ≥ 1\)"),
    (lambda: compat.griffinlim(np.ones(33)), r"S has shape \(33,\)"),
    (lambda: compat.griffinlim(np.full((33, 3), np.nan)), "S holds values that are not finite"),
    (
        lambda: compat.griffinlim(np.array(["a", "b"])),
        "S is ndarray; it must be an array of numbers",
    ),
    (lambda: compat.mel_to_stft(np.ones(40)), r"M has shape \(40,\)"),
    (lambda: compat.mel_to_stft(np.ones((40, 3)), power=0), "power is 0"),
    (lambda: compat.mel_to_stft(np.ones((40, 3)), norm="area"), "norm is 'area'"),
    (lambda: compat.mel_to_stft(np.ones((40, 3)), norm=-1), "norm is -1"),
    (lambda: compat.mel_to_stft(np.ones((40, 3)), fmin=9000, fmax=8000), "fmin must be below fmax"),
    (lambda: compat.mfcc_to_mel(np.ones((13, 3)), lifter=-1), "lifter is -1"),
    (lambda: compat.mfcc_to_mel(np.ones((13, 3)), lifter=np.nan), "lifter is nan"),
    (lambda: compat.mfcc_to_mel(np.ones((13, 3)), dct_type=4), "type 4"),
    (lambda: compat.nnls(np.ones((4, 3)), np.ones((5, 2))), r"B has shape \(5, 2\)"),
    (lambda: compat.nnls(np.ones((4, 3)), np.ones((4, 2)), pgtol=1e-9), "nnls takes no 'pgtol'"),
]


@pytest.mark.parametrize(("call", "words"), INVALID, ids=[words for _, words in INVALID])
def test_errors_are_also_librosas(call, words, monkeypatch):
    for kind in (librosa.ParameterError, TorchmelinvError, ValueError):
        with pytest.raises(kind, match=words):
            call()
    monkeypatch.delitem(sys.modules, "librosa.util.exceptions")
    with pytest.raises(TorchmelinvError, match=words) as raised:
        call()
    assert not isinstance(raised.value, librosa.ParameterError)


def test_unknown_arguments_and_warnings():
    with pytest.raises(TypeError, match="f_max"):
        compat.mel_to_stft(np.ones((40, 3)), f_max=4000)
    with pytest.warns(UserWarning, match="momentum is 2; above 1"):
        compat.griffinlim(np.zeros((33, 3)), momentum=2)
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize("fmin", [0.0, 50.0])
@pytest.mark.parametrize("n_mels", [20, 24, 32, 128])
def test_empty_filters_warn_where_librosa_warns(n_mels, fmin):
    """Of 24 filters from 0 Hz on, only the first one is empty."""
    settings = {"sr": 8000, "n_fft": 64, "fmin": fmin}
    found = []
    for function in (compat.mel_to_stft, librosa.feature.inverse.mel_to_stft):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(np.ones((n_mels, 2)), **settings)
        found.append([warning.message for warning in caught])
    assert len(found[0]) == len(found[1])
    assert all(isinstance(message, EmptyFilterWarning) for message in found[0])


@pytest.mark.parametrize("name", ["mel_to_stft", "mel_to_audio"])
def test_log_mels_warn(name):
    with pytest.warns(MelValueWarning, match="is this a log mel") as caught:
        getattr(compat, name)(np.full((16, 9), -3.0, dtype=np.float32), n_fft=256)
    assert caught[0].filename == __file__
