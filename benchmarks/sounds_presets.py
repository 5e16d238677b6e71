"""White noise in every preset and with few bands, and recordings with a constant offset."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks.records import Record
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.demo import signal
from torchmelinv.metrics import edge_energy_db, hop_modulation_db, level_db, mel_error_db

SECONDS = 2.0
OFFSETS = (0.0, 0.1, 0.3)
PLAIN = MelConvention(sample_rate=22050, n_fft=1024, hop_length=256, n_mels=80, power=1)


@functools.cache
def conventions() -> dict[str, MelConvention]:
    """Return one preset of each STFT and filterbank, and conventions beyond the presets."""
    first: dict[MelConvention, str] = {}
    for name in tmi.preset_names():
        first.setdefault(tmi.preset(name).replace(level=Compression()), name)
    # riffusion is left out: noise above its filters leaks into the outermost ones, which are
    # narrower than 1 % of their band, and every method has 3 dB more there.
    kinds = {name: tmi.preset(name) for name in first.values() if name != "riffusion"}
    for n_mels in (1, 3, 10, 256):
        kinds[f"{n_mels} bands"] = PLAIN.replace(n_mels=n_mels)
    kinds["5 bands, power 0.5"] = PLAIN.replace(n_mels=5, power=0.5)
    kinds["5 bands, power 2"] = PLAIN.replace(n_mels=5, power=2)
    kinds["80 bands, power 0.5"] = PLAIN.replace(power=0.5)
    kinds["half overlap"] = PLAIN.replace(hop_length=512)
    kinds["near half the rate"] = PLAIN.replace(f_max=10950.0)
    return kinds


def noise_of(convention: MelConvention) -> Tensor:
    """Return white noise of the length that its frames stand for."""
    n_frames = convention.n_frames(round(SECONDS * convention.sample_rate))
    generator = torch.Generator().manual_seed(1)
    return 0.05 * torch.randn(convention.n_samples(n_frames), generator=generator)


def in_band(waveform: Tensor, convention: MelConvention) -> Tensor:
    """Return the waveform within the band that the filters see."""
    spectrum = torch.fft.rfft(waveform)
    hertz = torch.linspace(0, convention.sample_rate / 2, spectrum.shape[-1])
    inside = (hertz >= convention.f_min) & (hertz <= convention.f_max)
    return torch.fft.irfft(spectrum * inside, waveform.shape[-1])


def _noise(convention: MelConvention) -> Record:
    noise = noise_of(convention)
    mel = tmi.MelSpectrogram(convention)(noise)
    default, random = (
        tmi.MelInverter(convention, init=init)(mel)[: len(noise)] for init in ("pghi", "random")
    )
    stream = torch.cat(list(tmi.StreamingInverter(convention).invert([mel])))[: len(noise)]
    lower, upper = edge_energy_db(default, noise, convention)
    values = {
        "level_db": level_db(in_band(default, convention), in_band(noise, convention)),
        "lower_edge_db": lower,
        "upper_edge_db": upper,
        "upper_edge_of_random_db": edge_energy_db(random, noise, convention)[1],
        "hop_modulation_of_stream_db": hop_modulation_db(stream, noise, convention.hop_length),
    }
    return {name: round(float(value), 3) for name, value in values.items()}


def offset_error(convention: MelConvention, offset: float) -> float:
    """Return the mel error of a synthetic voice with an offset in dB."""
    analysis = tmi.MelSpectrogram(convention)
    waveform = signal(1.5, convention.sample_rate) + offset
    result = tmi.MelInverter(convention)(analysis(waveform))
    mel, reference = analysis.linear_mel(result), analysis.linear_mel(waveform)
    n_frames = min(mel.shape[-1], reference.shape[-1])
    return float(mel_error_db(mel[..., :n_frames], reference[..., :n_frames]))


def measure() -> Record:
    """Return the values of noise by convention, and the mel errors by preset and offset."""
    noise, offsets = {}, {}
    for name, convention in tqdm(conventions().items(), unit="convention"):
        noise[name] = _noise(convention)
        if "reflect" in convention.padding and name in tmi.preset_names():
            errors = {str(each): round(offset_error(convention, each), 2) for each in OFFSETS}
            offsets[name] = errors
    return {"noise": noise, "offsets": offsets}
