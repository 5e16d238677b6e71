"""Checks of a mel spectrogram against its convention, before any iteration.

Each mistake has one error: what came, what is allowed and what to do. The check of the values makes
the host wait for the device once; ``check=False`` and CUDA graph capture skip that.

A waveform outside [−1, 1] is possible, but rarely what was meant. The bounds of single bands have a
wide margin, since one loud band proves little. The energy of a frame is bounded almost tightly, and
warns where many frames exceed it.
"""

from __future__ import annotations

import math
from typing import NoReturn

import torch
from torch import Tensor

from torchmelinv._utils.validation import check_real
from torchmelinv._utils.warning import warn_caller
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError, MelValueWarning
from torchmelinv.transforms.compression import compress, logarithmic
from torchmelinv.transforms.log_statistics import LogStatistics, log_base, log_statistics
from torchmelinv.transforms.mel_bounds import largest_density, linear_bounds

_LARGEST = 1e18  # linear mel, and magnitude: their squares still fit float32
_MARGIN = 100.0  # factor beyond the bounds of waveforms in [−1, 1] at which the level is doubtful
_LOUD_FRAMES = 0.1  # part of the frames: a few loud ones may be clicks, or a network's mistakes
_ROUNDING = 1e-6  # of the peak: resampling and files may leave a linear mel this far below 0


def clamp_linear_mel(mel: Tensor) -> Tensor:
    """Return a linear mel of unknown convention with negative values set to 0.

    On the CPU it warns if most values are negative; accelerators are not checked.
    """
    if mel.device.type == "cpu" and float((mel.detach() < 0).float().mean()) > 0.5:
        warn_caller(
            "most of the mel's values are negative and count as 0: is this a log mel? A linear mel "
            "is needed here; MelInverter takes log mels",
            MelValueWarning,
        )
    return mel.relu()


def check_mel_shape(mel: Tensor, convention: MelConvention) -> Tensor:
    """Return the mel in float32 or float64, if its shape is (…, n_mels, n_frames ≥ 1)."""
    mel = check_real(mel, "mel")
    allowed = f"(…, {convention.n_mels}, n_frames)"
    shape = tuple(mel.shape)
    if mel.ndim < 2:
        raise InputError(f"the mel has shape {shape}; it must be {allowed}")
    if shape[-2] != convention.n_mels:
        if shape[-1] == convention.n_mels:
            raise InputError(
                f"the mel has shape {shape}: it looks transposed (frames first); "
                f"transpose it to {allowed} (--frames-first on the command line)"
            )
        hint = ""
        if shape[-2] == convention.n_freqs:
            hint = " (a magnitude? use functional.magnitude_to_waveform)"
        raise InputError(
            f"the mel has {shape[-2]} bands (shape {shape}); this convention has "
            f"{convention.n_mels}: give {allowed}{hint}"
        )
    if mel.numel() == 0:
        raise InputError(
            f"the mel is empty (shape {shape}); at least one item and one frame are needed"
        )
    return mel


def check_mel_values(mel: Tensor, convention: MelConvention, mask: Tensor | None = None) -> None:
    """Check that a mel's values can be those of its convention.

    Args:
        mel: Mel (…, n_mels, n_frames) in the convention's values.
        convention: The convention.
        mask: True for an item's own frames, (…, 1, n_frames). Default: all frames.

    Raises:
        InputError: If the values cannot be the convention's: NaN, infinite, negative in a linear
            convention, or too large.

    Warns:
        MelValueWarning: If they only look like another convention's.
    """
    problem = find_value_problem(mel, convention, mask)
    if problem is not None:
        warn_caller(problem, MelValueWarning)


def check_possible_values(mel: Tensor, convention: MelConvention) -> None:
    """Raise as `check_mel_values`, without its warnings and what they cost.

    For a few frames, which cannot show whether another convention made the mel.
    """
    if convention.level.log is None:
        find_value_problem(mel, convention)  # gives no warning
        return
    mel = mel.detach()
    logs = logarithmic(mel, convention.level) * log_base(convention)
    found = [mel.min(), mel.max(), logs.max(), largest_density(mel, convention)]
    low, high, highest, density = torch.stack(found).tolist()
    if not math.isfinite(low + high):
        _raise_not_finite(mel, None)
    _check_largest(highest, high)
    _check_magnitude(high, density, convention)


def find_value_problem(
    mel: Tensor, convention: MelConvention, mask: Tensor | None = None
) -> str | None:
    """Like `check_mel_values`, but return the warning's text, or None.

    For threads: warnings are global to the process. The text has no numbers of the mel: Python
    shows equal warnings once.
    """
    mel = mel.detach()
    # Padding frames count as their item's first frame.
    values = mel if mask is None else torch.where(mask, mel, mel[..., :1])
    if convention.level.log is None:
        linear = logarithmic(values, convention.level)
        found = [values.min(), values.max(), linear.max(), largest_density(values, convention)]
        low, high, highest, density = torch.stack(found).tolist()
        if not math.isfinite(low + high):
            _raise_not_finite(mel, mask)
        _check_linear(low, high, convention)
        _check_largest(math.log(highest) if highest > 0 else -math.inf, high)
        _check_magnitude(high, density, convention)
        return None
    statistics = log_statistics(values, convention, mask)
    if not math.isfinite(statistics.low + statistics.high):
        _raise_not_finite(mel, mask)
    problem = _find_log_problem(statistics, convention)
    _check_magnitude(statistics.high, statistics.density, convention)
    return problem


def _raise_not_finite(mel: Tensor, mask: Tensor | None) -> NoReturn:
    """Raise `InputError` for NaN and infinite values."""
    finite = torch.isfinite(mel if mask is None else torch.where(mask, mel, 0))
    bad_frames = (~finite).any(-2).nonzero()
    *item, frame = bad_frames[0].tolist()
    place = f"frame {frame}"
    if item:
        place += f" of item {item[0] if len(item) == 1 else tuple(item)}"
    count = "1 such frame" if len(bad_frames) == 1 else f"{len(bad_frames)} such frames"
    raise InputError(
        f"the mel has NaN or infinite values, first in {place} ({count}); fix or drop them"
    )


def _check_linear(low: float, high: float, convention: MelConvention) -> None:
    """Raise `InputError` for negative values where the convention has none."""
    level = convention.level
    if level.affine is not None or level.band_mean is not None:
        return
    if low < -_ROUNDING * max(high, 0.0):
        hint = ": a log mel? Use the convention that made it" if low < -1 else ""
        raise InputError(
            f"the mel has negative values (down to {low:.3g}), but this convention is linear{hint}"
        )


def _check_largest(highest: float, high: float) -> None:
    """Raise `InputError` if the largest value, `high`, stands for exp(`highest`) beyond any mel."""
    if highest > math.log(_LARGEST):
        raise InputError(
            f"the mel's values, up to {high:.3g}, stand for more than {_LARGEST:g}: "
            "they were made with another level"
        )


def _check_magnitude(high: float, density: float, convention: MelConvention) -> None:
    """Raise `InputError` if a power below 1 makes the magnitude of the mel too large."""
    if density > _LARGEST**convention.power:
        raise InputError(
            f"the mel's values, up to {high:.3g}, stand for magnitudes above "
            f"{_LARGEST:g} at the power {convention.power:g}: they were made with another power "
            "or level"
        )


def _near_zero(statistics: LogStatistics, convention: MelConvention) -> bool:
    """Whether values that are all above 0 lie as near to 0 as linear ones.

    The log mel of loud noise may lie above 0, too, but not near it, or over a wider range.
    """
    span = (statistics.highest - statistics.lowest) / convention.power
    quarter = statistics.high / 4
    return statistics.mean < quarter or (statistics.low < quarter and span < 1)


def _find_log_problem(statistics: LogStatistics, convention: MelConvention) -> str | None:
    """Return the warning's text for a logarithmic mel."""
    level = convention.level
    _check_largest(statistics.highest, statistics.high)
    other = "dB or log10 values" if level.log == "ln" else "dB or ln values"
    # With `reference_max` values are relative to the item's peak, so no value is too loud.
    absolute = not level.reference_max
    loud = absolute and statistics.loud > _LOUD_FRAMES
    lowest, highest = linear_bounds(convention)
    # A logarithm needs a floor or an offset, so that this is above 0 even if all filters are empty.
    largest = max(float(highest.max()), level.floor or level.offset)
    if absolute and statistics.lowest >= 0 and (loud or _near_zero(statistics, convention)):
        problem = "all values mean bands louder than 1: this looks like a linear mel, not a log mel"
    elif level.floor is not None and statistics.lowest < math.log(level.floor) - math.log(_MARGIN):
        problem = f"some values are far below this convention's floor: this looks like {other}"
    elif absolute and statistics.highest > math.log(_MARGIN * largest):
        problem = (
            "some values are beyond what a waveform in [-1, 1] gives: "
            f"this looks like {other}, or a linear mel"
        )
    elif statistics.zero_depth > math.log(_MARGIN):
        silence = float(compress(lowest, level.replace(reference_max=False)).min())
        return (
            "whole frames or bands are exactly 0, which is not silence here but far louder than "
            "the rest: padding or masks? Give lengths=... for padding, or fill it with the value "
            f"of silence, {silence:.4g}"
        )
    elif loud:
        problem = (
            "many frames have more energy than a waveform in [-1, 1] can have: this looks like "
            "a mel of another model, or one that was normalized"
        )
    else:
        return None
    return f"{problem}; check the convention (`identify` lists the presets that fit)"
