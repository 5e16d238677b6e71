"""Conventions of librosa's arguments make the same mels."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal

from tests.conventions.deviation import NO_FILTER, WAVE, deviation
from torchmelinv.conventions import Compression, MfccConvention
from torchmelinv.conventions.librosa import from_librosa, from_librosa_mfcc
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import ConventionError, InputError


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sr": 16000, "n_fft": 400, "hop_length": 160, "n_mels": 80},
        {"sr": 11025, "n_fft": 401, "hop_length": 100, "n_mels": 23, "fmin": 60.5, "fmax": 5000.5},
        {"n_fft": 1024, "win_length": 800, "hop_length": None, "pad_mode": "reflect"},
        {"n_fft": 1024, "win_length": 801, "hop_length": 200, "center": False, "power": 1},
        {"htk": True, "norm": None, "power": 1.5},
        {"htk": True, "n_mels": 40, "window": scipy.signal.windows.hann},
        {"n_fft": 512, "window": scipy.signal.get_window("hann", 512)},
        {"n_fft": 512, "win_length": 300, "window": np.hanning(300).tolist()},
        {"n_fft": 512, "window": "hamming"},
        {"n_fft": 512, "win_length": 301, "window": ("kaiser", 4.0)},
        {"n_fft": 512, "window": scipy.signal.windows.blackman},
    ],
    ids=str,
)
@pytest.mark.filterwarnings(*NO_FILTER)
def test_from_librosa_makes_librosas_mel(settings: dict[str, Any]) -> None:
    expected = librosa.feature.melspectrogram(y=WAVE, **settings)
    assert deviation(from_librosa(**settings), expected) <= 2e-6


def test_librosas_defaults_are_the_preset() -> None:
    assert from_librosa() == preset("librosa_melspectrogram")
    decibels = Compression(log="log10", floor=1e-10, multiplier=10)
    assert from_librosa(level=decibels).level == decibels


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": "hamster"}, "window is 'hamster'; it must be 'hann', numbers"),
        ({"window": ("kaiser", "four")}, r"window is \('kaiser', 'four'\)"),
        ({"window": [["hann"]]}, "a window must be numbers"),
        ({"window": np.hanning(100)}, r"window has shape \(100,\); it must be 2048 numbers"),
        ({"pad_mode": "edge"}, "pad_mode is 'edge'.*'reflect', 'constant'"),
        ({"pad_mode": np.pad}, "pad_mode is"),
        ({"norm": 1}, "norm is 1.*'slaney', None"),
        ({"norm": np.inf}, "norm is inf"),
        ({"fmax": 12000}, "f_max is 12000; it must be at most 11025 Hz"),
        ({"n_mels": 0}, "n_mels is 0"),
        ({"win_length": 4096}, "win_length is 4096"),
        ({"n_fft": "large"}, "n_fft is 'large'"),
        ({"power": None}, "power is None"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_from_librosa_names_arguments_without_a_convention(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConventionError, match=words):
        from_librosa(**settings)


def test_mfcc_conventions_have_the_mel_of_the_same_arguments() -> None:
    decibel = Compression(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
    mel = {"sr": 16000, "n_fft": 512, "n_mels": 40, "htk": True}
    settings = {"n_mfcc": 13, "norm": None, "lifter": 22}
    convention = from_librosa_mfcc(**mel, **settings, mel_norm=None)
    expected = MfccConvention(mel=from_librosa(**mel, norm=None, level=decibel), **settings)
    assert convention == expected
    assert (convention.lifter_start, from_librosa_mfcc().n_mfcc) == (1, 20)
    to_peak = Compression(log="log10", floor=1e-10, multiplier=10, reference_max=True)
    assert from_librosa_mfcc(ref=np.max, top_db=None).mel.level == to_peak
    assert MfccConvention.from_json(convention.to_json()) == convention


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dct_type": 3}, "dct_type is 3, which no convention can express; it must be 2"),
        ({"norm": "slaney"}, "norm is 'slaney'.*'ortho', None"),
        ({"mel_norm": 1}, "norm is 1.*'slaney', None"),
        ({"lifter": -1}, "lifter is -1"),
        ({"n_mfcc": 129}, "n_mfcc is 129; it must be at most n_mels = 128"),
        ({"ref": np.median}, "ref is .*finite number or np.max"),
        ({"ref": np.nan}, "ref is nan"),
        ({"amin": 0}, "floor is 0"),
        ({"top_db": 0}, "dynamic_range is 0"),
        ({"level": Compression()}, "takes no level"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_from_librosa_mfcc_names_arguments_without_a_convention(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConventionError, match=words):
        from_librosa_mfcc(**settings)


@pytest.mark.parametrize("function", [from_librosa, from_librosa_mfcc])
def test_from_librosa_refuses_other_names(function: Any) -> None:
    for name, hint in (("y", "it takes sr, n_fft"), ("n_mel", "did you mean 'n_mels'")):
        with pytest.raises(InputError, match=f"from_librosa has no option '{name}'; {hint}"):
            function(**{name: WAVE})
