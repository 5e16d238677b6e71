"""Conventions of JSON files: a convention's own, and configurations of HiFi-GAN and VITS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from torchmelinv.conventions import MfccConvention
from torchmelinv.conventions.config_files import read_convention, read_mfcc_convention
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import ConventionError, FileError

HIFIGAN = {
    "resblock": "1",
    "num_mels": 80,
    "num_freq": 1025,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
    "fmax_for_loss": None,
}
VITS = {
    "max_wav_value": 32768.0,
    "sampling_rate": 22050,
    "filter_length": 1024,
    "hop_length": 256,
    "win_length": 1024,
    "n_mel_channels": 80,
    "mel_fmin": 0.0,
    "mel_fmax": None,
}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (HIFIGAN, "hifigan_22k"),
        ({"audio": HIFIGAN, "model": {}}, "hifigan_22k"),
        (VITS, "vits_22k"),
        ({"train": {"lr": 1}, "data": VITS}, "vits_22k"),
        ({**HIFIGAN, "fmax": None}, "bigvgan_v2_22k_80_256x"),
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
        ("{}", ConventionError, r"config\.json: it holds no fields; it must hold .* num_mels"),
        (
            '{"audio": {"fft_size": 1024}, "run": 1}',
            ConventionError,
            r"holds 'audio', 'run'; it must hold .*sample_rate.*num_mels.*mel_fmax",
        ),
        (
            json.dumps({k: v for k, v in HIFIGAN.items() if k not in ("fmax", "n_fft")}),
            ConventionError,
            r"HiFi-GAN style configuration also needs n_fft, fmax; it has sampling_rate, win_size",
        ),
        (
            json.dumps({"data": {k: v for k, v in VITS.items() if k != "mel_fmax"}}),
            ConventionError,
            r"VITS style configuration also needs mel_fmax; it has sampling_rate, filter_length",
        ),
        (
            json.dumps({**HIFIGAN, "hop_size": None}),
            ConventionError,
            r"config\.json: MelConvention\.hop_length is None",
        ),
        (json.dumps({**HIFIGAN, "num_mels": "80"}), ConventionError, r"n_mels is '80'"),
        (
            '{"sample_rate": 22050}',
            ConventionError,
            r"config\.json: MelConvention needs n_fft, hop_length, n_mels",
        ),
        (
            '{"sample_rate": 22050, "n_mel": 80}',
            ConventionError,
            r"no field 'n_mel'; did you mean 'n_mels'",
        ),
    ],
)
def test_errors_of_broken_and_incomplete_files(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=words):
        read_convention(path)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot read .*absent\.json: No such file"):
        read_convention(tmp_path / "absent.json")
    with pytest.raises(FileError, match="cannot read"):
        read_convention(tmp_path)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00RIFF")
    with pytest.raises(FileError, match=r"binary\.json is not JSON"):
        read_convention(binary)


def test_files_of_mfccs_and_of_mels_are_distinguished(tmp_path: Path) -> None:
    convention = MfccConvention(mel=preset("hifigan_22k"), n_mfcc=13)
    mfcc, mel = tmp_path / "mfcc.json", tmp_path / "mel.json"
    mfcc.write_text(convention.to_json(), encoding="utf-8")
    mel.write_text(convention.mel.to_json(), encoding="utf-8")
    assert read_mfcc_convention(mfcc) == read_mfcc_convention(str(mfcc)) == convention
    assert read_convention(mel) == convention.mel
    with pytest.raises(ConventionError, match=r"mel\.json: it does not describe MFCCs"):
        read_mfcc_convention(mel)
    with pytest.raises(ConventionError, match=r"mfcc\.json: it describes MFCCs, not a mel"):
        read_convention(mfcc)


def test_a_key_that_is_repeated_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    text = json.dumps(preset("whisper_80").to_dict())
    path.write_text(text[:-1] + ', "hop_length": 80}', encoding="utf-8")
    with pytest.raises(FileError, match="'hop_length' twice"):
        read_convention(path)
