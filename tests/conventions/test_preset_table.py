"""Presets make the mels that their models' sources describe, and name these sources."""

from __future__ import annotations

import functools
from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.preset_table import ROWS, Row
from torchmelinv.conventions.presets import preset, preset_info, preset_names

Mel = Callable[[Tensor], Tensor]


@functools.lru_cache
def voice(sample_rate: float, seconds: float = 0.45) -> Tensor:
    """Return a glide with overtones and noise, then digital silence, (n_samples,) in float64."""
    n_samples = int(sample_rate * seconds)
    time = torch.arange(n_samples, dtype=torch.float64) / sample_rate
    phase = 2 * torch.pi * (110 * time + 90 * time**2)
    signal = sum(torch.sin(k * phase) / k for k in (1, 2, 3, 5, 8, 13, 21, 34))
    noise = torch.randn(n_samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.where(time < 0.7 * seconds, 0.2 * signal + 0.01 * noise, 0)


def spectrum(
    wave: Tensor,
    n_fft: int,
    hop: int,
    win: int | None = None,
    *,
    center: bool = True,
    mode: str = "reflect",
) -> Tensor:
    window = torch.hann_window(win or n_fft, dtype=wave.dtype)
    return torch.stft(
        wave[None],
        n_fft,
        hop,
        win or n_fft,
        window,
        center=center,
        pad_mode=mode,
        return_complex=True,
    )[0]


@functools.lru_cache
def bank(
    sr: float,
    n_fft: int,
    n_mels: int,
    fmin: float = 0,
    fmax: float | None = None,
    *,
    htk: bool = False,
) -> Tensor:
    """Return a filterbank. HTK's have no norm here, as in torchaudio's default."""
    norm = None if htk else "slaney"
    return torch.from_numpy(
        librosa.filters.mel(
            sr=sr,
            n_fft=n_fft,
            n_mels=n_mels,
            fmin=fmin,
            fmax=fmax,
            htk=htk,
            norm=norm,
            dtype=np.float64,
        )
    )


def centered(
    *,
    n_fft: int = 1024,
    hop: int = 256,
    filters: Tensor,
    after: Mel,
    power: int = 1,
    mode: str = "reflect",
    win: int | None = None,
) -> Mel:
    return lambda wave: after(filters @ spectrum(wave, n_fft, hop, win, mode=mode).abs() ** power)


def hifigan(
    sr: float,
    n_mels: int,
    fmax: float | None,
    *,
    n_fft: int = 1024,
    hop: int = 256,
    eps: float = 1e-9,
    log: Mel = torch.log,
) -> Mel:
    def mel(wave: Tensor) -> Tensor:
        side = (n_fft - hop) // 2
        padded = torch.nn.functional.pad(wave[None, None], (side, side), mode="reflect")[0, 0]
        frames = spectrum(padded, n_fft, hop, center=False)
        magnitude = torch.sqrt(torch.view_as_real(frames).pow(2).sum(-1) + eps)
        return log(torch.clamp(bank(sr, n_fft, n_mels, 0, fmax) @ magnitude, min=1e-5))

    return mel


def ln(mel: Tensor) -> Tensor:
    return mel.clamp(min=1e-5).log()


def log10(mel: Tensor) -> Tensor:
    return mel.clamp(min=1e-10).log10()


def decibel(mel: Tensor) -> Tensor:
    return 10 * log10(mel)


def whisper(mel: Tensor) -> Tensor:
    logs = log10(mel[:, :-1])
    return (torch.maximum(logs, logs.max() - 8) + 4) / 4


def wavernn(mel: Tensor) -> Tensor:
    return ((20 * mel.clamp(min=1e-5).log10() + 100) / 100).clip(0, 1)


def coqui(mel: Tensor) -> Tensor:
    decibels = 20 * mel.clamp(min=1e-8).log10() - 20
    return (8 * (decibels + 100) / 100 - 4).clip(-4, 4)


def diffwave(mel: Tensor) -> Tensor:
    window_norm = torch.hann_window(1024, dtype=mel.dtype).square().sum().sqrt()
    return ((20 * (mel / window_norm).clamp(min=1e-5).log10() - 20 + 100) / 100).clip(0, 1)


def diffusers(mel: Tensor) -> Tensor:
    decibels = decibel(mel)
    return torch.maximum(decibels, decibels.max() - 80)


def espnet2(wave: Tensor) -> Tensor:
    magnitude = torch.sqrt(spectrum(wave, 1024, 256).abs().square().clamp(min=1e-10))
    return log10(bank(22050, 1024, 80, 80, 7600) @ magnitude)


def kaldi(window: str, n_mels: int) -> Mel:
    def mel(wave: Tensor) -> Tensor:
        return torchaudio.compliance.kaldi.fbank(
            wave[None], dither=0.0, window_type=window, num_mel_bins=n_mels
        ).T

    return mel


tacotron2 = centered(filters=bank(22050, 1024, 80, 0, 8000), after=ln)
bigvgan_24k = hifigan(24000, 100, 12000)
htk_cond = (
    torchaudio.functional.melscale_fbanks(513, 0.0, 8000.0, 80, 22050, norm="slaney").double().T
)

REFERENCES: dict[str, Mel] = {
    **dict.fromkeys(("tacotron2", "waveglow", "fastpitch_nvidia"), tacotron2),
    **dict.fromkeys(
        (
            "hifigan_22k",
            "bigvgan_22k_80",
            "bigvgan_v2_22k_80_fmax8k_256x",
            "matcha_ljspeech",
            "cosyvoice1",
        ),
        hifigan(22050, 80, 8000),
    ),
    "bigvgan_v2_22k_80_256x": hifigan(22050, 80, None),
    **dict.fromkeys(("bigvgan_24k_100", "f5_tts_bigvgan"), bigvgan_24k),
    "bigvgan_v2_44k_128_256x": hifigan(44100, 128, None),
    "bigvgan_v2_44k_128_512x": hifigan(44100, 128, None, n_fft=2048, hop=512),
    "vocos_24k": centered(
        filters=bank(24000, 1024, 100, htk=True), after=lambda mel: mel.clip(min=1e-7).log()
    ),
    "f5_tts_vocos": centered(filters=bank(24000, 1024, 100, htk=True), after=ln),
    "cosyvoice2": hifigan(24000, 80, 8000, n_fft=1920, hop=480),
    "cosyvoice3": hifigan(24000, 80, None, n_fft=1920, hop=480),
    "gptsovits_v3": hifigan(24000, 100, None, eps=1e-8),
    "gptsovits_v4": hifigan(32000, 100, None, n_fft=1280, hop=320, eps=1e-8),
    "vits_22k": hifigan(22050, 80, None, eps=1e-6),
    "fish_44k": hifigan(44100, 128, None, n_fft=2048, hop=512, eps=1e-6),
    "melgan": hifigan(22050, 80, None, eps=0, log=torch.log10),
    "pwg_ljspeech": centered(filters=bank(22050, 1024, 80, 80, 7600), after=log10),
    "espnet2_tts": espnet2,
    "speecht5": centered(filters=bank(16000, 1024, 80, 80, 7600), after=log10),
    "wavernn_fatchord": centered(
        n_fft=2048, win=1100, hop=275, filters=bank(22050, 2048, 80, 40), after=wavernn
    ),
    "whisper_80": centered(
        n_fft=400, hop=160, power=2, filters=bank(16000, 400, 80), after=whisper
    ),
    "whisper_128": centered(
        n_fft=400, hop=160, power=2, filters=bank(16000, 400, 128), after=whisper
    ),
    "tortoise_univnet": centered(filters=bank(24000, 1024, 100, 0, 12000), after=ln),
    "tortoise_ar_cond": centered(power=2, filters=htk_cond, after=ln),
    "audioldm_16k": centered(hop=160, filters=bank(16000, 1024, 64, 0, 8000), after=ln),
    "riffusion": centered(
        n_fft=17640,
        win=4410,
        hop=441,
        filters=bank(44100, 17640, 512, 0, 10000, htk=True),
        after=lambda mel: mel,
    ),
    "diffusers_mel": centered(
        n_fft=2048,
        hop=512,
        power=2,
        mode="constant",
        filters=bank(22050, 2048, 256),
        after=diffusers,
    ),
    "coqui_default": centered(filters=bank(22050, 1024, 80), after=coqui),
    "styletts2_kokoro": centered(
        n_fft=2048,
        win=1200,
        hop=300,
        power=2,
        filters=bank(16000, 2048, 80, htk=True),
        after=lambda mel: (torch.log(1e-5 + mel) + 4) / 4,
    ),
    "diffwave": centered(filters=bank(22050, 1024, 80, 20, htk=True), after=diffwave),
    "clap_laion_fusion": centered(
        hop=480, power=2, filters=bank(48000, 1024, 64, 50, 14000, htk=True), after=decibel
    ),
    "clap_laion_unfused": centered(
        hop=480, power=2, filters=bank(48000, 1024, 64, 50, 14000), after=decibel
    ),
    "librosa_melspectrogram": lambda wave: torch.from_numpy(
        librosa.feature.melspectrogram(y=wave.numpy())
    ),
    "torchaudio_melspectrogram": lambda wave: torchaudio.transforms.MelSpectrogram().double()(wave),
    "kaldi_fbank": kaldi("povey", 23),
    "ast": lambda wave: (kaldi("hanning", 128)(wave) + 4.2677393) / (4.5689974 * 2),
}


# References that use filters of a library, which are float32.
FLOAT32 = (
    "kaldi_fbank",
    "ast",
    "librosa_melspectrogram",
    "torchaudio_melspectrogram",
    "tortoise_ar_cond",
)


def test_preset_names_are_those_of_the_table() -> None:
    assert preset_names() == tuple(row.name for row in ROWS)
    assert len(set(preset_names())) == len(ROWS)


@pytest.mark.parametrize("gain", [1.0, 300.0], ids=["quiet", "clipping"])
@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.filterwarnings(
    "ignore:Empty filters detected", "ignore:At least one mel filterbank has all zero values"
)
def test_preset_equals_its_reference(name: str, gain: float) -> None:
    convention = preset(name)
    wave = gain * voice(convention.sample_rate)
    mel, reference = MelSpectrogram(convention)(wave), REFERENCES[name](wave)
    assert mel.shape == reference.shape
    scale = 1.0 if convention.level.log else float(reference.max())
    tolerance = 1e-9
    if name in FLOAT32:
        tolerance = 1e-4 if scale == 1 else 1e-5
    assert float((mel - reference).abs().max()) / scale <= tolerance


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_makes_a_finite_mel(name: str) -> None:
    convention = preset(name)
    wave = voice(convention.sample_rate)
    mel = MelSpectrogram(convention)(wave)
    assert mel.shape == (convention.n_mels, convention.n_frames(len(wave)))
    assert mel.isfinite().all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_names_its_source(row: Row) -> None:
    assert row.name == row.name.lower()
    assert row.source.count("/") == 1
    assert row.commit.startswith("v") or int(row.commit, 16) >= 0
    assert row.path
    assert preset_info(row.name) is row
    assert bool(row.needs) == bool(row.statistics)


def test_notes_name_what_is_lost() -> None:
    words = {
        "riffusion": "quantization",
        "diffusers_mel": "quantization",
        "wavernn_fatchord": "clipped",
        "coqui_default": "clipped",
        "diffwave": "clipped",
        "whisper_80": "80 dB below",
        "kaldi_fbank": "snipped",
        "ast": "mean",
        "espnet2_tts": "sample_rate",
    }
    for name, word in words.items():
        assert word in preset_info(name).note
