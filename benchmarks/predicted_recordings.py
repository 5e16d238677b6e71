"""Recordings whose mels were degraded, inverted as they are and after the default restoration."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import mels
from benchmarks.recordings import clips
from benchmarks.records import Record
from torchmelinv.metrics import (
    distillmos,
    level_db,
    mel_error_db,
    opinion_scores,
    perceptual_scores,
)
from torchmelinv.restoration import smoothness

CONVENTION = "hifigan_22k"
# name: (degradation, standard deviation of the blur)
MELS = {
    "clean": ("clean", 0.0),
    "noisy": ("noisy", 0.0),
    **{f"blurred {width:g}": ("blurred", width) for width in (0.5, 0.7, 1.0, 1.5)},
}
RESTORE = ("none", "auto")
N_OPINIONS = 8  # recordings with opinion scores, which are slow


def _inverters() -> dict[str, tmi.MelInverter]:
    return {each: tmi.MelInverter(CONVENTION, restore=each) for each in RESTORE}


def scores(waveform: Tensor, clip: Tensor, mel: Tensor, *, with_opinion: bool) -> Record:
    """Return the scores of a waveform by name; `mel` is the given one, in linear values."""
    analysis = mels.mel_spectrogram(CONVENTION)
    rate = analysis.convention.sample_rate
    values = perceptual_scores(waveform, clip, rate)
    own = analysis.linear_mel(waveform)
    values |= {
        "mel_error_db": mel_error_db(own, mel),
        "recording_mel_error_db": mel_error_db(own, analysis.linear_mel(clip)),
        "level_db": level_db(waveform, clip),
    }
    if with_opinion:
        values["distillmos"] = distillmos(waveform, rate)
    return {name: round(float(value), 4) for name, value in values.items()}


def measure_clip(path: Path, *, with_opinion: bool) -> Record:
    """Return the strength of the smoothness and the scores of a recording's mels."""
    analysis = mels.mel_spectrogram(CONVENTION)
    clip = mels.recording(path, analysis.convention)
    result: Record = {}
    for name, (kind, blur) in MELS.items():
        mel = mels.degrade(analysis(clip), kind, analysis.convention, path.stem, blur)
        waveforms = {each: invert(mel) for each, invert in _inverters().items()}
        given = _inverters()["none"].to_linear_mel(mel)
        result[name] = {
            "strength": round(float(smoothness(mel, CONVENTION).strength), 3),
            "difference": difference(waveforms),
            "none": scores(waveforms["none"], clip, given, with_opinion=with_opinion),
        }
        # Equal waveforms have equal scores.
        result[name]["auto"] = (
            scores(waveforms["auto"], clip, given, with_opinion=with_opinion)
            if result[name]["difference"]
            else result[name]["none"]
        )
    if with_opinion:
        values = opinion_scores(clip, analysis.convention.sample_rate)
        result["recording"] = {each: round(float(value), 4) for each, value in values.items()}
    return result


def difference(waveforms: dict[str, Tensor]) -> float:
    """Return the largest difference of the samples."""
    return float((waveforms["auto"] - waveforms["none"]).abs().max())


def measure_speech() -> Record:
    """Return the scores of each recording of speech."""
    speech = clips(["speech"])
    with_opinion = mels.evenly_spaced(speech, N_OPINIONS)
    return {
        path.stem: measure_clip(path, with_opinion=path in with_opinion)
        for path in tqdm(speech, unit="recording")
    }


def measure_music() -> Record:
    """Return how much the restoration changes the inversion of each recording of music."""
    analysis, inverters = mels.mel_spectrogram(CONVENTION), _inverters()
    result = {}
    with torch.inference_mode():
        for path in clips(["music", "percussion"]):
            mel = analysis(mels.recording(path, analysis.convention))
            result[path.stem] = difference({each: inverters[each](mel) for each in RESTORE})
    return result
