"""From one convention's mel to another's, by the shortest way there is: level, bands, or through audio."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.analysis import MelAnalyzer, seen
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.errors import InputError
from torchmelinv.files import resample
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.invert import MelInverter
from torchmelinv.level import compress
from torchmelinv.ops.checks import as_lengths
from torchmelinv.ops.items import leading
from torchmelinv.ops.precision import full_precision
from torchmelinv.presets import as_convention


class Conversion(NamedTuple):
    """A mel in another convention, how it came there and what was lost on the way."""

    mel: Tensor  # (…, n_mels, n_frames) of the target
    lengths: Tensor | None  # (…) frames of each item, where lengths were given
    way: str  # "level", "bands" or "audio"
    loses: tuple[str, ...]  # sentences


def way_between(source: MelConvention, target: MelConvention) -> str:
    """`level` where only the values differ; `bands` where the spectrum is the same and filters or power differ; else `audio`."""
    if dataclasses.replace(source, level=target.level) == target:
        return "level"
    return "bands" if (source.sample_rate, source.frame) == (target.sample_rate, target.frame) else "audio"


def _losses_of_level(source: Level, power: float, floor: float) -> list[str]:
    """`power`: the source's; `floor`: the least linear value that the target tells from others."""
    loses = []
    if source.reference_max:
        loses.append("the loudness, which the source takes away from each item: its peak becomes 1")
    if source.dynamic_range is not None:
        decades = source.dynamic_range / source.multiplier / (math.log(10) if source.log == "ln" else 1)
        loses.append(f"what lies {20 / power * decades:g} dB or more below an item's peak: it stays there")
    if source.clip is not None:
        loses.append(f"values beyond the source's clip {source.clip}: they stay at it")
    if source.floor is not None and source.floor > floor:
        loses.append(f"what lies below the source's floor of {source.floor:g}: it stays there")
    return loses


def what_is_lost(source: MelConvention, target: MelConvention) -> tuple[str, ...]:
    """What a conversion cannot know or keep, beside what `target` does to any mel; nothing where it is exact."""
    if source == target:
        return ()
    way = way_between(source, target)
    loses = _losses_of_level(source.level, source.power, target.level.floor or 0.0 if way == "level" else 0.0)
    if way != "level":
        loses.append("what the source's filters average away: each spectrum is the one nearest to a smooth envelope (entropic)")
        stretch = source.sample_rate / source.filterbank_sample_rate
        wider = target.sample_rate / target.filterbank_sample_rate
        if target.f_min * wider < source.f_min * stretch:
            loses.append(f"everything below {source.f_min * stretch:g} Hz, which the source does not hold: it becomes silence")
        if target.f_max * wider > source.f_max * stretch:
            loses.append(f"everything above {source.f_max * stretch:g} Hz, which the source does not hold: it becomes silence")
    if way == "audio":
        loses.append("the phase, found anew: frames of the target see an inverted waveform, whose mel is near the source's")
    return tuple(loses)


@full_precision
def convert(
    mel: Tensor,
    source: MelConvention | str,
    target: MelConvention | str,
    *,
    lengths: Tensor | None = None,
    **options: Any,
) -> Conversion:
    """Mel (…, n_mels, n_frames) in the values of `source` -> the mel of `target`, with the way it took and what it lost.

    Conventions as in `MelInverter`. Where only their levels differ, values are expanded and compressed: exact above the floors.
    Where they see the same spectra (equal frames and sample rate), the bands are taken apart by the entropic inverse and put
    together by the other filters. Otherwise the mel is inverted (`options` are those of `MelInverter`), resampled by soxr where
    the rates differ, and analysed. `lengths` (…): frames of each item of a padded batch. Differentiable, but not through a
    resampling: a mel that requires a gradient is refused there.
    """
    source, target = as_convention(source), as_convention(target)
    way, loses = way_between(source, target), what_is_lost(source, target)
    inverter = MelInverter(source, **options)
    if way == "audio":
        return _through_audio(mel, inverter, target, lengths, loses)
    if way == "level":
        linear = inverter.to_linear(mel, lengths=lengths)
    else:
        squared = inverter.to_magnitude(mel, lengths=lengths).square()
        linear = MelFilterbank(target)(seen(squared, target))
    mask = None
    if lengths is not None:
        lengths = as_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
        mask = leading(lengths, mel.shape[-1])[..., None, :]
    return Conversion(compress(linear, target.level, mask), lengths, way, loses)


def _through_audio(
    mel: Tensor, inverter: MelInverter, target: MelConvention, lengths: Tensor | None, loses: tuple[str, ...]
) -> Conversion:
    rates = inverter.convention.sample_rate, target.sample_rate
    if rates[0] != rates[1] and mel.requires_grad and torch.is_grad_enabled():
        fix = "detach it, or resample between MelInverter and MelAnalyzer by something differentiable"
        raise InputError(f"the mel requires a gradient, which does not pass from {rates[0]:g} to {rates[1]:g} Hz; {fix}")
    waveform = inverter(mel, lengths=lengths)
    samples = None
    if lengths is not None:
        counts = as_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
        samples = inverter.frame.own_samples(counts, waveform.shape[-1], None)
    if rates[0] != rates[1]:
        flat = resample(waveform.detach().reshape(-1, waveform.shape[-1]).cpu(), *rates)
        waveform = flat.to(waveform).reshape(*waveform.shape[:-1], -1)
        samples = None if samples is None else (samples * (rates[1] / rates[0])).ceil().long().clamp(max=waveform.shape[-1])
    analyzer = MelAnalyzer(target)
    frames = None if samples is None else analyzer.frame.frame_counts(samples)
    return Conversion(analyzer(waveform, lengths=samples), frames, "audio", loses)
