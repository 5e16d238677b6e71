"""The smoothness estimate: 0 for sounds, rising with a filter, the same for batches and scales."""

from __future__ import annotations

import functools
import math

import pytest
import torch

import torchmelinv as tmi
from benchmarks import mels
from benchmarks.recordings import clips
from tests.shared import AUDIO, needs_audio, speech_clips
from torchmelinv.demo import signal
from torchmelinv.functional import mel_to_mfcc, mfcc_to_mel
from torchmelinv.restoration import smoothness
from torchmelinv.restoration.smoothing import equivalent_variances, noise_variances

NAME = "hifigan_22k"
CONVENTION = tmi.preset(NAME)
RATE = CONVENTION.sample_rate


@functools.cache
def voice() -> torch.Tensor:
    """Return the mel of a synthetic voice with noise."""
    noise = torch.randn(2 * RATE, generator=torch.Generator().manual_seed(0))
    return tmi.MelSpectrogram(NAME)(signal(2.0, RATE) + 0.003 * noise)


def blurred(mel: torch.Tensor, width: float) -> torch.Tensor:
    return mels.degrade(mel, "blurred", CONVENTION, blur=width)


def test_white_noise_filtered_by_a_gaussian_has_its_variance():
    noise = torch.randn(256, 512, generator=torch.Generator().manual_seed(0)).double()
    for width in (0.5, 0.7, 1.0, 1.5):
        filtered = noise
        for axis, n in enumerate(noise.shape):
            omega = 2 * math.pi * torch.fft.fftfreq(n).double()
            omega = omega[:, None] if axis == 0 else omega
            gain = torch.exp(-0.5 * (width * omega).square())
            filtered = torch.fft.ifft(torch.fft.fft(filtered, dim=axis) * gain, dim=axis).real
        for variance in equivalent_variances(filtered[None], None)[0]:
            assert float(variance) == pytest.approx(width**2, rel=0.06)


def test_the_estimate_rises_with_a_filter():
    results = [smoothness(blurred(voice(), width), NAME) for width in (0.5, 0.7, 1.0, 1.5)]
    assert float(smoothness(voice(), NAME).strength) == 0
    assert all(float(each.strength) > 0.8 for each in results[1:])
    for axis in ("bands", "frames"):
        widths = [float(getattr(each, axis)) for each in results]
        assert widths == sorted(widths)
        # The bands of a voice without noise are its harmonics, which a filter leaves rough.
        assert widths[2] == pytest.approx(1.0, abs=0.5)


def tone(hertz: float) -> torch.Tensor:
    return 0.1 * torch.sin(2 * math.pi * hertz * torch.arange(2 * RATE) / RATE)


def resonances() -> torch.Tensor:
    """Return a struck bar: five damped sines."""
    time = torch.arange(2 * RATE) / RATE
    hertz = torch.tensor([310.0, 855.0, 1675.0, 2770.0, 4135.0])[:, None]
    return 0.1 * (torch.sin(2 * math.pi * hertz * time) * torch.exp(-time * hertz / 200)).sum(0)


def vibrato() -> torch.Tensor:
    time = torch.arange(2 * RATE, dtype=torch.float64) / RATE
    phase = 2 * math.pi * 150 * time + 3 * torch.sin(2 * math.pi * 5 * time)
    return (0.1 * sum(torch.sin(k * phase) / k for k in range(1, 30))).float()


SOUNDS = {
    "resonances": resonances,
    "vibrato": vibrato,
    "tone": lambda: tone(440.0),
    "chord": lambda: sum(tone(hertz) for hertz in (220.0, 277.2, 329.6)),
    "organ": lambda: sum(tone(110.0 * k) for k in range(1, 30)),
    "sweep": lambda: 0.1 * torch.sin(torch.linspace(0, 900, 2 * RATE).square() / 20),
    "tremolo": lambda: tone(440.0) * (1 + 0.8 * torch.sin(torch.arange(2 * RATE) / RATE * 25)),
    "clicks": lambda: (torch.arange(2 * RATE) % 7350 == 0).float(),
    "decay": lambda: tone(220.0) * torch.exp(-torch.arange(2 * RATE) / RATE * 3),
    "noise": lambda: 0.1 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(3)),
    "silence": lambda: torch.zeros(2 * RATE),
    "offset": lambda: torch.full((2 * RATE,), 0.3),
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("preset", [NAME, "whisper_80", "librosa_melspectrogram", "audioldm_16k"])
def test_synthetic_sounds_are_not_smooth(name, preset):
    mel = tmi.MelSpectrogram(preset)(SOUNDS[name]())
    assert float(smoothness(mel, preset).strength) == 0


@needs_audio
@pytest.mark.parametrize("preset", tmi.preset_names())
def test_recordings_are_not_smooth(preset):
    convention = tmi.preset(preset)
    paths = mels.evenly_spaced(clips(["speech", "music", "percussion"]), 6)
    for path in paths:
        mel = tmi.MelSpectrogram(convention)(mels.recording(path, convention))
        assert float(smoothness(mel, convention).strength) == 0, path.stem


@needs_audio
@pytest.mark.parametrize("n_frames", [10, 20, 40, 86])
def test_short_recordings_are_hardly_ever_smooth(n_frames):
    strengths = []
    for path in mels.evenly_spaced(clips(["speech"]), 12):
        mel = tmi.MelSpectrogram(NAME)(mels.recording(path, CONVENTION))
        for start in range(0, mel.shape[-1] - n_frames, 60):
            strengths.append(float(smoothness(mel[:, start : start + n_frames], NAME).strength))
    n_smooth = sum(strength > 0 for strength in strengths)
    assert n_smooth <= (0.03 * len(strengths) if n_frames < 40 else 0)


@needs_audio
@pytest.mark.parametrize("n_mels", [3, 5, 10, 16, 20, 256])
def test_recordings_in_few_or_many_bands_are_not_smooth(n_mels):
    convention = CONVENTION.replace(n_mels=n_mels)
    for path in mels.evenly_spaced(clips(["speech", "music", "percussion"]), 12):
        mel = tmi.MelSpectrogram(convention)(mels.recording(path, convention))
        assert float(smoothness(mel, convention).strength) == 0, path.stem


@pytest.mark.slow
@needs_audio
@pytest.mark.parametrize("preset", tmi.preset_names())
def test_no_recording_is_smooth(preset):
    convention = tmi.preset(preset)
    for path in clips(["speech", "music", "percussion"]):
        mel = tmi.MelSpectrogram(convention)(mels.recording(path, convention))
        assert float(smoothness(mel, convention).strength) == 0, path.stem


@needs_audio
def test_recordings_that_were_filtered_are_smooth_and_noisy_ones_are_not():
    assert AUDIO is not None
    for path in mels.evenly_spaced(speech_clips(), 4):
        mel = tmi.MelSpectrogram(NAME)(mels.recording(path, CONVENTION))
        assert float(smoothness(blurred(mel, 0.7), NAME).strength) > 0.9
        noisy = mels.degrade(mel, "noisy", CONVENTION, name=path.stem)
        assert float(smoothness(noisy, NAME).strength) == 0


def test_mels_of_few_coefficients_are_left_alone():
    for n_mfcc in (13, 20, 40):
        convention = tmi.MfccConvention(mel=CONVENTION, n_mfcc=n_mfcc)
        mel = mfcc_to_mel(mel_to_mfcc(voice(), convention), convention)
        assert float(smoothness(mel, NAME).strength) == 0


def test_items_of_a_batch_are_independent_and_padding_does_not_count():
    mel = torch.stack([voice()[:, :120], blurred(voice(), 0.7)[:, :120]])
    both = smoothness(mel, NAME)
    padded = torch.nn.functional.pad(mel, (0, 30), value=math.nan)
    lengths = torch.tensor([120, 120])
    for index, value in enumerate(both):
        single = torch.stack([smoothness(each, NAME)[index] for each in mel])
        assert torch.equal(value, single)
        assert torch.equal(value, smoothness(padded, NAME, lengths=lengths)[index])
    assert both.strength.tolist() == [0, 1]


def test_the_level_and_the_compression_do_not_matter():
    smooth = blurred(voice(), 0.8)
    expected = smoothness(smooth, NAME)
    for other in (smoothness(smooth + 2, NAME), smoothness(smooth.double(), NAME)):
        for value, known in zip(other, expected, strict=True):
            assert float(value) == pytest.approx(float(known), abs=1e-3)
    linear = CONVENTION.replace(level=tmi.Compression())
    again = smoothness(smooth.exp(), linear)
    assert float(again.bands) == pytest.approx(float(expected.bands), abs=1e-3)


@pytest.mark.parametrize("shape", [(80, 1), (80, 4), (80, 5)])
def test_short_mels_have_a_finite_estimate(shape):
    for value in smoothness(torch.randn(shape), NAME):
        assert torch.isfinite(value)
    few = CONVENTION.replace(n_mels=3)
    assert float(smoothness(torch.randn(3, 50), few).strength) == 0


def test_the_variances_of_noise_are_those_of_any_compression():
    other = CONVENTION.replace(level=tmi.Compression(log="log10", floor=1e-3))
    assert noise_variances(other) == noise_variances(CONVENTION)


@needs_audio
@pytest.mark.parametrize("width", [0.5, 0.7, 1.0, 1.5])
def test_auto_brings_filtered_recordings_closer(width):
    for path in mels.evenly_spaced(clips(["speech", "music"]), 4):
        mel = tmi.MelSpectrogram(NAME)(mels.recording(path, CONVENTION))
        restored = tmi.restoration.MelRestoration(NAME)(blurred(mel, width))
        details = [each - blurred(each, 2.0) for each in (mel, blurred(mel, width), restored)]
        before, after = ((each - details[0]).abs().mean() for each in details[1:])
        assert float(after) <= (1 if width == 0.5 else 0.9) * float(before)
