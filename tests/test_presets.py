"""Presets by name, what changes them, and the one door for everything that names a convention."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level
from torchmelinv.errors import ConventionError, FileError
from torchmelinv.presets import about, as_convention, preset, preset_names


def noise() -> Tensor:
    """A burst and then digital silence, (n_samples,) in float64."""
    return torch.cat([torch.randn(6000, dtype=torch.float64), torch.zeros(3000, dtype=torch.float64)])


def test_names_are_what_can_be_asked_for() -> None:
    assert len(preset_names()) == len(set(preset_names())) == 42
    assert [about(name).name for name in preset_names()] == list(preset_names())


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("matcha_ljspeech", lambda mel: (mel + 5.536622) / 2.116101),
        ("gptsovits_v3", lambda mel: 2 * (mel + 12) / 14 - 1),
        ("gptsovits_v4", lambda mel: 2 * (mel + 12) / 14 - 1),
        ("tortoise_univnet", lambda mel: 2 * (mel + 11.512925148010254) / (2.3143386840820312 + 11.512925148010254) - 1),
        ("diffusers_mel", lambda mel: mel - mel.max()),
        ("hifigan_22k", lambda mel: mel),
        ("whisper_80", lambda mel: mel),
    ],
)
def test_model_space_is_what_the_model_normalises_further(name: str, space: Callable[[Tensor], Tensor]) -> None:
    wave = noise()
    mel = MelAnalyzer(preset(name))(wave)
    torch.testing.assert_close(MelAnalyzer(preset(name, model_space=True))(wave), space(mel), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "needs", "file"),
    [
        ("pwg_ljspeech", ("band_mean", "band_scale"), "stats.h5"),
        ("espnet2_tts", ("band_mean", "band_scale"), "feats_stats.npz"),
        ("tortoise_ar_cond", ("band_scale",), "mel_norms.pth"),
        ("clap_laion_unfused", ("band_mean", "band_scale"), "bn0"),
    ],
)
def test_statistics_that_only_the_user_has(name: str, needs: tuple[str, ...], file: str) -> None:
    n_mels = preset(name).n_mels
    statistics = {field: torch.linspace(1, 2, n_mels, dtype=torch.float64) for field in needs}
    for missing in needs:
        with pytest.raises(ConventionError, match=missing) as caught:
            preset(name, model_space=True, **{field: statistics[field] for field in needs if field != missing})
        assert file in str(caught.value)
    wave = noise()
    base = MelAnalyzer(preset(name))(wave)
    expected = (base - statistics.get("band_mean", torch.zeros(n_mels))[:, None]) / statistics["band_scale"][:, None]
    torch.testing.assert_close(MelAnalyzer(preset(name, model_space=True, **statistics))(wave), expected, rtol=0, atol=1e-10)


def test_statistics_may_be_given_with_any_preset() -> None:
    convention = preset("hifigan_22k", band_mean=range(80), band_scale=[2] * 80)
    assert convention.level == Level(log="ln", floor=1e-5, band_mean=range(80), band_scale=[2] * 80)
    with pytest.raises(ConventionError, match="band_mean holds 79 numbers; the convention has 80 bands"):
        preset("hifigan_22k", band_mean=[0] * 79)


def test_changes_come_before_defaults() -> None:
    assert preset("vits_22k", sample_rate=24000).f_max == 12000
    assert preset("hifigan_22k", sample_rate=24000).f_max == 8000
    assert preset("whisper_80", n_fft=512).win_length == 512
    assert preset("espnet2_tts").sample_rate == 22050
    assert preset("espnet2_tts", sample_rate=24000).filterbank_sample_rate == 24000
    assert preset("matcha_ljspeech", model_space=True, level=Level(log="ln", floor=1e-3)).level.affine == (-5.536622, 2.116101)
    with pytest.raises(ConventionError, match=r"no field 'hop_lenght'; did you mean 'hop_length'"):
        preset("hifigan_22k", hop_lenght=1)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    meant = {"hifigan": "hifigan_22k", "HiFi-GAN": "hifigan_22k", "whisper": "whisper_80", "vocos24k": "vocos_24k"}
    for wrong, right in meant.items():
        for call in (preset, about, as_convention):
            with pytest.raises(ConventionError, match=f"there is no preset {wrong!r}; did you mean .*{right!r}"):
                call(wrong)
    with pytest.raises(ConventionError, match="no preset 3"):
        preset(3)


def test_as_convention_takes_records_names_and_files(tmp_path: Path) -> None:
    convention = preset("whisper_80")
    path = tmp_path / "mine.json"
    path.write_text(convention.to_json(), encoding="utf-8")
    for meant in (convention, "whisper_80", path, str(path)):
        assert as_convention(meant) == convention
    with pytest.raises(FileError, match=r"absent\.json: No such file"):
        as_convention(str(tmp_path / "absent.json"))
    with pytest.raises(ConventionError, match="not dict"):
        as_convention(convention.to_dict())
