"""Presets by name, changes of their fields, and arguments that name a convention."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchaudio
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression, MfccConvention, STFTConvention
from torchmelinv.conventions.preset_table import ROWS, Row
from torchmelinv.conventions.presets import (
    as_convention,
    as_mfcc_convention,
    as_stft_convention,
    preset,
    preset_info,
    preset_names,
)
from torchmelinv.errors import ConventionError, FileError


def noise() -> Tensor:
    """Return a burst of noise and then digital silence, (n_samples,) in float64."""
    burst = torch.randn(6000, dtype=torch.float64)
    return torch.cat([burst, torch.zeros(3000, dtype=torch.float64)])


def test_preset_info_has_every_name() -> None:
    assert [preset_info(name).name for name in preset_names()] == list(preset_names())


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("matcha_ljspeech", lambda mel: (mel + 5.536622) / 2.116101),
        ("gptsovits_v3", lambda mel: 2 * (mel + 12) / 14 - 1),
        ("gptsovits_v4", lambda mel: 2 * (mel + 12) / 14 - 1),
        (
            "tortoise_univnet",
            lambda mel: (
                2 * (mel + 11.512925148010254) / (2.3143386840820312 + 11.512925148010254) - 1
            ),
        ),
        ("diffusers_mel", lambda mel: mel - mel.max()),
        ("hifigan_22k", lambda mel: mel),
        ("whisper_80", lambda mel: mel),
    ],
)
def test_model_space_adds_the_normalization_of_the_acoustic_model(
    name: str, space: Callable[[Tensor], Tensor]
) -> None:
    wave = noise()
    expected = space(MelSpectrogram(preset(name))(wave))
    mel = MelSpectrogram(preset(name, model_space=True))(wave)
    torch.testing.assert_close(mel, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "needs", "file"),
    [
        ("pwg_ljspeech", ("band_mean", "band_scale"), "stats.h5"),
        ("espnet2_tts", ("band_mean", "band_scale"), "feats_stats.npz"),
        ("tortoise_ar_cond", ("band_scale",), "mel_norms.pth"),
        ("clap_laion_unfused", ("band_mean", "band_scale"), "bn0"),
    ],
)
def test_the_files_of_the_statistics_are_named(
    name: str, needs: tuple[str, ...], file: str
) -> None:
    assert preset_info(name).needs == needs
    assert file in preset_info(name).statistics


@pytest.mark.parametrize("row", [row for row in ROWS if row.needs], ids=lambda row: row.name)
def test_model_space_may_need_statistics(row: Row) -> None:
    n_mels = preset(row.name).n_mels
    statistics = {field: torch.linspace(1, 2, n_mels, dtype=torch.float64) for field in row.needs}
    for missing in row.needs:
        incomplete = {field: values for field, values in statistics.items() if field != missing}
        with pytest.raises(ConventionError, match=missing) as caught:
            preset(row.name, model_space=True, **incomplete)
        assert row.statistics in str(caught.value)
    wave = noise()
    mean = statistics.get("band_mean", torch.zeros(n_mels))
    scale = statistics.get("band_scale", torch.ones(n_mels))
    expected = (MelSpectrogram(preset(row.name))(wave) - mean[:, None]) / scale[:, None]
    mel = MelSpectrogram(preset(row.name, model_space=True, **statistics))(wave)
    torch.testing.assert_close(mel, expected, rtol=0, atol=1e-10)


def test_any_preset_takes_statistics() -> None:
    convention = preset("hifigan_22k", band_mean=range(80), band_scale=[2] * 80)
    assert convention.level == Compression(
        log="ln", floor=1e-5, band_mean=range(80), band_scale=[2] * 80
    )
    with pytest.raises(
        ConventionError, match="band_mean holds 79 numbers; the convention has 80 bands"
    ):
        preset("hifigan_22k", band_mean=[0] * 79)


def test_changes_apply_before_defaults() -> None:
    assert preset("vits_22k", sample_rate=24000).f_max == 12000
    assert preset("hifigan_22k", sample_rate=24000).f_max == 8000
    assert preset("whisper_80", n_fft=512).win_length == 512
    assert preset("espnet2_tts").sample_rate == 22050
    assert preset("espnet2_tts", sample_rate=24000).filterbank_sample_rate == 24000
    level = Compression(log="ln", floor=1e-3)
    matcha = preset("matcha_ljspeech", model_space=True, level=level)
    assert matcha.level.affine == (-5.536622, 2.116101)
    with pytest.raises(ConventionError, match=r"no field 'hop_lenght'; did you mean 'hop_length'"):
        preset("hifigan_22k", hop_lenght=1)


def test_an_unknown_name_raises_with_the_nearest() -> None:
    nearest = {
        "hifigan": "hifigan_22k",
        "HiFi-GAN": "hifigan_22k",
        "whisper": "whisper_80",
        "vocos24k": "vocos_24k",
    }
    for wrong, right in nearest.items():
        for call in (preset, preset_info, as_convention):
            with pytest.raises(
                ConventionError, match=f"there is no preset {wrong!r}; did you mean .*{right!r}"
            ):
                call(wrong)
    with pytest.raises(ConventionError, match="no preset 3"):
        preset(3)


def test_as_convention_takes_records_names_and_files(tmp_path: Path) -> None:
    convention = preset("whisper_80")
    path = tmp_path / "mine.json"
    path.write_text(convention.to_json(), encoding="utf-8")
    for argument in (convention, "whisper_80", path, str(path)):
        assert as_convention(argument) == convention
        assert as_stft_convention(argument) == convention.stft
    with pytest.raises(FileError, match=r"absent\.json: No such file"):
        as_convention(str(tmp_path / "absent.json"))
    with pytest.raises(ConventionError, match=r"not dict \(MelConvention.from_dict makes one\)"):
        as_convention(convention.to_dict())
    with pytest.raises(ConventionError, match=r"not NoneType$"):
        as_convention(None)  # type: ignore[arg-type]
    transforms = torchaudio.transforms
    for transform in (
        transforms.MelSpectrogram(n_mels=20),
        transforms.MFCC(melkwargs={"n_mels": 40}),
    ):
        with pytest.raises(ConventionError, match="from_torchaudio reads a transform"):
            as_convention(transform)


def test_as_stft_convention_takes_stft_conventions() -> None:
    convention = preset("whisper_80").stft
    assert as_stft_convention(convention) == convention
    assert type(as_stft_convention(preset("whisper_80"))) is STFTConvention


def test_as_mfcc_convention_takes_records_and_files(tmp_path: Path) -> None:
    convention = MfccConvention(mel=preset("hifigan_22k"), n_mfcc=13)
    path = tmp_path / "mfcc.json"
    path.write_text(convention.to_json(), encoding="utf-8")
    for argument in (convention, path, str(path)):
        assert as_mfcc_convention(argument) == convention
    with pytest.raises(FileError, match=r"cannot read .*absent\.json"):
        as_mfcc_convention(tmp_path / "absent.json")
    for wrong in ("hifigan_22k", convention.mel, None, 13):
        with pytest.raises(ConventionError, match="MFCCs need an MfccConvention or the path"):
            as_mfcc_convention(wrong)  # type: ignore[arg-type]
