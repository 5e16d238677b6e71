"""Convert a mel of one convention to another by the shortest route that works.

- ``"compression"``: only the values differ. They are decompressed and compressed again, which is
  exact above the floors.
- ``"bands"``: STFT and sample rate are equal, filters or power differ. The filterbank is inverted
  (`magnitude`), and the other one applied.
- ``"audio"``: the mel is inverted, resampled by soxr if the rates differ, and analyzed.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask
from torchmelinv._utils.method_names import InitName
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_lengths
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.resample import resample
from torchmelinv.magnitude import MagnitudeName
from torchmelinv.phase import PhaseName
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.solvers.iterate import Gradient
from torchmelinv.transforms.compression import compress
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import filterbank_input

__all__ = ["Conversion", "Route", "conversion_losses", "conversion_route", "convert"]

Route = Literal["compression", "bands", "audio"]

_Mel = MelConvention | str | os.PathLike[str]


class Conversion(NamedTuple):
    """A mel in another convention, and how it was made.

    Args:
        mel: Mel (…, n_mels, n_frames) in the target's values.
        lengths: Frames of each item, (…); None if no lengths were given.
        route: ``"compression"``, ``"bands"`` or ``"audio"``.
        lost: What the conversion lost, one sentence each; empty if it is exact.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> tmi.convert(mel, "hifigan_22k", "hifigan_22k").route
        'compression'
    """

    mel: Tensor
    lengths: Tensor | None
    route: Route
    lost: tuple[str, ...]


def conversion_route(source: _Mel, target: _Mel) -> Route:
    """Return the route that `convert` takes.

    Args:
        source: Convention of the mels to convert.
        target: Convention of the mels to make.

    Returns:
        ``"compression"``, ``"bands"`` or ``"audio"``.

    Raises:
        ConventionError: If there is no such convention.

    Example:
        >>> from torchmelinv.conversion import conversion_route
        >>> conversion_route("hifigan_22k", "vocos_24k")
        'audio'
    """
    source, target = as_convention(source), as_convention(target)
    if dataclasses.replace(source, level=target.level) == target:
        return "compression"
    if (source.sample_rate, source.stft) == (target.sample_rate, target.stft):
        return "bands"
    return "audio"


def _lost_by_compression(source: Compression, power: float, floor: float) -> list[str]:
    """Return what the source's compression lost.

    Args:
        source: Compression of the source.
        power: Power of the source's spectrum.
        floor: Least linear value that the target resolves.

    Returns:
        One sentence each.
    """
    lost = []
    if source.reference_max:
        lost.append("the loudness: the source scales the peak of each item to 1")
    if source.dynamic_range is not None:
        log_base = math.log(10) if source.log == "ln" else 1
        decades = source.dynamic_range / source.multiplier / log_base
        range_db = 20 / power * decades
        lost.append(f"what lies {range_db:g} dB or more below an item's peak: it stays there")
    if source.clip is not None:
        lost.append(f"values outside the source's clip {source.clip}: they stay at its ends")
    if source.floor is not None and source.floor > floor:
        lost.append(f"what lies below the source's floor of {source.floor:g}: it stays there")
    return lost


def _lost_by_filters(source: MelConvention, target: MelConvention) -> list[str]:
    """Return what the source's filterbank lost, one sentence each."""
    lost = [
        "what the source's filters average away: by default, each spectrum is the one nearest to "
        "a smooth envelope"
    ]
    source_scale = source.sample_rate / source.filterbank_sample_rate
    target_scale = target.sample_rate / target.filterbank_sample_rate
    low, high = source.f_min * source_scale, source.f_max * source_scale
    if target.f_min * target_scale < low:
        lost.append(f"everything below {low:g} Hz, which the source lacks: it becomes silence")
    if target.f_max * target_scale > high:
        lost.append(f"everything above {high:g} Hz, which the source lacks: it becomes silence")
    return lost


def conversion_losses(source: _Mel, target: _Mel) -> tuple[str, ...]:
    """Return what a conversion loses, besides what the target does to any mel.

    Args:
        source: Convention of the mels to convert.
        target: Convention of the mels to make.

    Returns:
        One sentence each; empty if the conversion is exact.

    Raises:
        ConventionError: If there is no such convention.

    Example:
        >>> from torchmelinv.conversion import conversion_losses
        >>> conversion_losses("hifigan_22k", "hifigan_22k")
        ()
    """
    source, target = as_convention(source), as_convention(target)
    if source == target:
        return ()
    route = conversion_route(source, target)
    if route == "compression":
        floor = target.level.floor or 0.0
        return tuple(_lost_by_compression(source.level, source.power, floor))
    lost = _lost_by_compression(source.level, source.power, 0.0)
    lost += _lost_by_filters(source, target)
    if route == "audio":
        lost.append(
            "the phase: the target analyzes an inverted waveform, whose mel is near the source's"
        )
    return tuple(lost)


@named_options
@full_precision
def convert(
    mel: Tensor,
    source: _Mel,
    target: _Mel,
    magnitude: MagnitudeName = "entropic",
    phase: PhaseName | PhaseMethod = "coarse_to_fine",
    n_iter: int = 32,
    *,
    lengths: Tensor | None = None,
    init: InitName = "pghi",
    seed: int = 0,
    momentum: float | None = None,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    check: bool = True,
) -> Conversion:
    """Convert a mel to another convention, by compression, bands or audio.

    If only the compression differs, the values are exact above the floors. If STFT and sample rate
    are equal, the filterbank is inverted and the other one applied. Otherwise the mel is inverted,
    resampled if the rates differ, and analyzed. The conversion is differentiable, except through a
    resampling.

    Args:
        mel: Mel (…, n_mels, n_frames) in the source's values.
        source: Convention of the mel: a `MelConvention`, a preset's name, or the path of a JSON
            file.
        target: Convention of the result.
        magnitude: Inverse of the filterbank.
        phase: Phase method, by name or as an object of `torchmelinv.phases`; for audio.
        n_iter: Number of iterations, at least 0; for audio.
        lengths: Frames of each item of a padded batch, (…).
        init: Name of the initial phase; for audio.
        seed: Seed of the random initial phase; for audio.
        momentum: Momentum of a phase method that is given by name, from 0 to 1. Default: its own.
        tolerance: Relative change of an iteration at which an item stops; for audio.
        gradient: How gradients pass through the iterations; for audio.
        check: Check the values of the mel.

    Returns:
        The mel with its lengths, the route, and what was lost.

    Raises:
        InputError: If a shape, dtype, value or option does not fit, or if the mel requires a
            gradient and the sample rates differ.
        ConventionError: If there is no such convention.

    Shape:
        - mel: (…, n_mels, n_frames) of the source
        - output: (…, n_mels, n_frames) of the target

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> conversion = tmi.convert(mel, "hifigan_22k", "vocos_24k", n_iter=4)
        >>> conversion.mel.shape, conversion.route
        (torch.Size([100, 94]), 'audio')
    """
    source, target = as_convention(source), as_convention(target)
    inverter = MelInverter(
        source,
        magnitude,
        phase,
        n_iter,
        init=init,
        seed=seed,
        momentum=momentum,
        tolerance=tolerance,
        gradient=gradient,
        restore="none",
        check=check,
    )
    route, lost = conversion_route(source, target), conversion_losses(source, target)
    if route == "audio":
        result, lengths = _through_audio(mel, inverter, target, lengths)
        return Conversion(result, lengths, route, lost)
    if route == "compression":
        linear = inverter.to_linear_mel(mel, lengths=lengths)
    else:
        power = inverter.to_magnitude(mel, lengths=lengths).square()
        linear = MelFilterbank(target)(filterbank_input(power, target))
    mask = None
    if lengths is not None:
        lengths = check_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
        mask = frame_mask(lengths, mel)
    return Conversion(compress(linear, target.level, mask), lengths, route, lost)


def _through_audio(
    mel: Tensor, inverter: MelInverter, target: MelConvention, lengths: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the mel of the inverted waveform, and its lengths if lengths are given."""
    rate, target_rate = inverter.convention.sample_rate, target.sample_rate
    if rate != target_rate and mel.requires_grad and torch.is_grad_enabled():
        raise InputError(
            "the mel requires a gradient, which does not pass through the resampling from "
            f"{rate:g} to {target_rate:g} Hz; detach the mel, or use MelInverter, a differentiable "
            "resampling and MelSpectrogram"
        )
    waveform = inverter(mel, lengths=lengths)
    sample_counts = None
    if lengths is not None:
        frame_counts = check_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
        sample_counts = inverter.stft.valid_length(frame_counts, waveform.shape[-1], None)
    if rate != target_rate:
        rows = waveform.detach().reshape(-1, waveform.shape[-1]).cpu()
        resampled = resample(rows, rate, target_rate).to(waveform)
        waveform = resampled.reshape(*waveform.shape[:-1], -1)
        if sample_counts is not None:
            sample_counts = (sample_counts * (target_rate / rate)).ceil().long()
            sample_counts = sample_counts.clamp(max=waveform.shape[-1])
    mel_spectrogram = MelSpectrogram(target)
    result = mel_spectrogram(waveform, lengths=sample_counts)
    if sample_counts is None:
        return result, None
    return result, mel_spectrogram.stft.frame_counts(sample_counts)
