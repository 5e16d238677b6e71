"""What librosa, torchaudio and configuration files describe becomes the convention that makes the same mel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
import torchaudio

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level, MelConvention, MfccConvention
from torchmelinv.errors import ConventionError, FileError
from torchmelinv.interchange import (
    as_mfcc_convention,
    from_librosa,
    from_librosa_mfcc,
    from_torchaudio,
    from_torchaudio_mfcc,
    read_convention,
)
from torchmelinv.presets import preset

NO_FILTER = ("ignore:Empty filters detected", "ignore:At least one mel filterbank has all zero values")
WAVE = np.random.default_rng(0).standard_normal(6000).astype(np.float32)


def deviation(convention: MelConvention, mel: np.ndarray) -> float:
    """Largest difference between our mel of WAVE and theirs, relative to the peak."""
    made = MelAnalyzer(convention)(torch.from_numpy(WAVE)).numpy()
    assert made.shape == mel.shape
    return float(np.abs(made - mel).max() / np.abs(mel).max())


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
def test_librosas_settings_make_librosas_mel(settings: dict[str, Any]) -> None:
    theirs = librosa.feature.melspectrogram(y=WAVE, **settings)
    assert deviation(from_librosa(**settings), theirs) <= 2e-6


def test_librosas_defaults_are_the_preset() -> None:
    assert from_librosa() == preset("librosa_melspectrogram")
    assert from_librosa(level=Level(log="log10", floor=1e-10, multiplier=10)).level.multiplier == 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": "hamster"}, "window is 'hamster'; it must be 'hann', numbers"),
        ({"window": ("kaiser", "four")}, r"window is \('kaiser', 'four'\)"),
        ({"window": [["hann"]]}, "is no window; it must be numbers"),
        ({"window": np.hanning(100)}, r"window has shape \(100,\); it must be 2048 numbers"),
        ({"pad_mode": "edge"}, "pad_mode is 'edge'.*'reflect', 'constant'"),
        ({"pad_mode": np.pad}, "pad_mode is"),
        ({"norm": 1}, "norm is 1.*'slaney', None"),
        ({"norm": np.inf}, "norm is inf"),
        ({"y": WAVE}, "takes no 'y'"),
        ({"n_mel": 80, "S": None}, "takes no 'n_mel', 'S'"),
        ({"fmax": 12000}, "f_max is 12000; it must be at most 11025 Hz"),
        ({"n_mels": 0}, "n_mels is 0"),
        ({"win_length": 4096}, "win_length is 4096"),
        ({"n_fft": "large"}, "n_fft is 'large'"),
        ({"power": None}, "power is None"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_no_convention_expresses_of_librosa_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConventionError, match=words):
        from_librosa(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sample_rate": 22050, "n_fft": 1024, "hop_length": 256, "n_mels": 80, "f_max": 8000.0, "power": 1.0},
        {"sample_rate": 11025, "n_fft": 512, "n_mels": 40},
        {"sample_rate": 11025, "n_fft": 401, "n_mels": 30, "f_min": 30.0, "f_max": 5000.0},
        {"n_fft": 1024, "win_length": 640, "normalized": True, "norm": "slaney", "mel_scale": "slaney"},
        {"n_fft": 1024, "win_length": 641, "hop_length": 100, "normalized": "window", "pad_mode": "constant", "n_mels": 64},
        {"n_fft": 512, "center": False, "n_mels": 40, "wkwargs": {"periodic": False}},
        {"n_fft": 512, "n_mels": 40, "window_fn": lambda length: torch.hann_window(length, periodic=False) ** 0.85},
        {"n_fft": 512, "win_length": 400, "n_mels": 40, "window_fn": torch.hamming_window},
    ],
    ids=str,
)
@pytest.mark.filterwarnings(*NO_FILTER)
def test_a_torchaudio_transform_gives_its_own_mel(settings: dict[str, Any]) -> None:
    transform = torchaudio.transforms.MelSpectrogram(**settings)
    assert deviation(from_torchaudio(transform), transform(torch.from_numpy(WAVE)).numpy()) <= 1e-5  # its filters are float32
    assert from_torchaudio(transform.double()) == from_torchaudio(transform)


@pytest.mark.filterwarnings(*NO_FILTER)
def test_torchaudios_defaults_are_the_preset_and_the_mel_inside_mfcc_is_read() -> None:
    assert from_torchaudio(torchaudio.transforms.MelSpectrogram()) == preset("torchaudio_melspectrogram")
    decibel = Level(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
    settings = {"n_fft": 512, "hop_length": 128, "n_mels": 23}
    convention = from_torchaudio(torchaudio.transforms.MFCC(n_mfcc=13, melkwargs=settings), level=decibel)
    assert convention.level == decibel
    power = torchaudio.transforms.MelSpectrogram(**settings)(torch.from_numpy(WAVE))
    theirs = torchaudio.transforms.AmplitudeToDB(top_db=80)(power)
    assert deviation(convention, theirs.numpy()) <= 1e-5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pad": 10}, r"MelSpectrogram\.pad is 10"),
        ({"normalized": "frame_length"}, r"MelSpectrogram\.normalized is 'frame_length'.*'window'"),
        ({"pad_mode": "replicate"}, r"MelSpectrogram\.pad_mode is 'replicate'"),
        ({"power": None}, r"power is None"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings(*NO_FILTER)
def test_what_no_convention_expresses_of_torchaudio_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConventionError, match=words):
        from_torchaudio(torchaudio.transforms.MelSpectrogram(**settings))


@pytest.mark.parametrize("thing", [torchaudio.transforms.Spectrogram(), torch.nn.Identity(), "mel", None], ids=str)
def test_something_that_is_no_mel_transform_is_refused(thing: Any) -> None:
    with pytest.raises(ConventionError, match=f"MelSpectrogram or MFCC, not {type(thing).__name__}"):
        from_torchaudio(thing)


def test_mfccs_are_of_the_mel_with_the_same_words() -> None:
    decibel = Level(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
    mel = {"sr": 16000, "n_fft": 512, "n_mels": 40, "htk": True}
    words = {"n_mfcc": 13, "norm": None, "lifter": 22}
    given = from_librosa_mfcc(**mel, **words, mel_norm=None)
    assert given == MfccConvention(mel=from_librosa(**mel, norm=None, level=decibel), **words)
    assert (given.lifter_start, from_librosa_mfcc().n_mfcc) == (1, 20)
    assert from_librosa_mfcc(ref=np.max, top_db=None).mel.level == Level(
        log="log10", floor=1e-10, multiplier=10, reference_max=True)
    transform = torchaudio.transforms.MFCC(n_mfcc=13, log_mels=True, melkwargs={"n_fft": 512, "n_mels": 23})
    assert from_torchaudio_mfcc(transform).mel == from_torchaudio(transform, level=Level(log="ln", offset=1e-6))
    assert MfccConvention.from_json(given.to_json()) == given


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dct_type": 3}, "dct_type is 3, which no convention expresses; it must be 2"),
        ({"norm": "slaney"}, "norm is 'slaney'.*'ortho', None"), ({"mel_norm": 1}, "norm is 1.*'slaney', None"),
        ({"lifter": -1}, "lifter is -1"), ({"n_mfcc": 129}, "n_mfcc is 129; it must be at most n_mels = 128"),
        ({"ref": np.median}, "ref is .*finite number or np.max"), ({"ref": np.nan}, "ref is nan"), ({"amin": 0}, "floor is 0"),
        ({"top_db": 0}, "dynamic_range is 0"), ({"S": WAVE}, "takes no 'S'"), ({"level": Level()}, "takes no level"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_no_convention_expresses_of_librosas_mfccs_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConventionError, match=words):
        from_librosa_mfcc(**settings)


@pytest.mark.parametrize("thing", [torchaudio.transforms.MelSpectrogram(n_mels=20), torchaudio.transforms.LFCC(), None], ids=str)
def test_something_that_makes_no_mfccs_is_refused(thing: Any) -> None:
    with pytest.raises(ConventionError, match=f"torchaudio MFCC transform, not {type(thing).__name__}"):
        from_torchaudio_mfcc(thing)


HIFIGAN = {
    "resblock": "1", "num_mels": 80, "num_freq": 1025, "n_fft": 1024, "hop_size": 256, "win_size": 1024, "sampling_rate": 22050,
    "fmin": 0, "fmax": 8000, "fmax_for_loss": None,
}
VITS = {
    "max_wav_value": 32768.0, "sampling_rate": 22050, "filter_length": 1024, "hop_length": 256, "win_length": 1024,
    "n_mel_channels": 80, "mel_fmin": 0.0, "mel_fmax": None,
}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (HIFIGAN, "hifigan_22k"), ({"audio": HIFIGAN, "model": {}}, "hifigan_22k"), (VITS, "vits_22k"),
        ({"train": {"lr": 1}, "data": VITS}, "vits_22k"), ({**HIFIGAN, "fmax": None}, "bigvgan_v2_22k_80_256x"),
        (preset("whisper_80").to_dict(), "whisper_80"),
    ],
)
def test_configuration_files_are_read(tmp_path: Path, values: dict[str, Any], name: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert read_convention(path) == read_convention(str(path)) == preset(name)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", FileError, r"config\.json is not JSON"),
        ('{"sample_rate": 22050,', FileError, r"config\.json is not JSON"),
        ("[1, 2]", ConventionError, r"config\.json: a convention is a JSON object, not list"),
        ("{}", ConventionError, r"config\.json: it holds no fields, but neither .* num_mels"),
        ('{"audio": {"fft_size": 1024}, "run": 1}', ConventionError,
         r"holds 'audio', 'run', but neither .*sample_rate.*num_mels.*mel_fmax"),
        (json.dumps({k: v for k, v in HIFIGAN.items() if k not in ("fmax", "n_fft")}), ConventionError,
         r"HiFi-GAN style configuration needs n_fft, fmax beside sampling_rate, win_size"),
        (json.dumps({"data": {k: v for k, v in VITS.items() if k != "mel_fmax"}}), ConventionError,
         r"VITS style configuration needs mel_fmax beside sampling_rate, filter_length"),
        (json.dumps({**HIFIGAN, "hop_size": None}), ConventionError, r"config\.json: MelConvention\.hop_length is None"),
        (json.dumps({**HIFIGAN, "num_mels": "80"}), ConventionError, r"n_mels is '80'"),
        ('{"sample_rate": 22050}', ConventionError, r"config\.json: MelConvention needs n_fft, hop_length, n_mels"),
        ('{"sample_rate": 22050, "n_mel": 80}', ConventionError, r"no field 'n_mel'; did you mean 'n_mels'"),
    ],
)
def test_a_broken_or_incomplete_file_says_what_is_there_and_what_is_needed(
    tmp_path: Path, text: str, error: type[Exception], words: str,
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=words):
        read_convention(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot read .*absent\.json: No such file"):
        read_convention(tmp_path / "absent.json")
    with pytest.raises(FileError, match="cannot read"):
        read_convention(tmp_path)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00RIFF")
    with pytest.raises(FileError, match=r"binary\.json is not JSON"):
        read_convention(binary)


def test_a_file_about_mfccs_and_one_about_a_mel_are_not_taken_for_each_other(tmp_path: Path) -> None:
    given = from_librosa_mfcc(n_mfcc=13)
    mfcc, mel = tmp_path / "mfcc.json", tmp_path / "mel.json"
    mfcc.write_text(given.to_json(), encoding="utf-8")
    mel.write_text(given.mel.to_json(), encoding="utf-8")
    assert as_mfcc_convention(mfcc) == as_mfcc_convention(str(mfcc)) == as_mfcc_convention(given) == given
    with pytest.raises(ConventionError, match=r"mel\.json: it describes no MFCCs"):
        as_mfcc_convention(mel)
    with pytest.raises(ConventionError, match=r"mfcc\.json: it describes MFCCs, not a mel"):
        read_convention(mfcc)
    with pytest.raises(FileError, match=r"cannot read .*absent\.json"):
        as_mfcc_convention(tmp_path / "absent.json")
    for wrong in ("hifigan_22k", given.mel, None, 13):
        with pytest.raises(ConventionError, match="MFCCs need an MfccConvention or the path"):
            as_mfcc_convention(wrong)  # type: ignore[arg-type]
