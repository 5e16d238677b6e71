"""The evidence for and against one convention having made a given mel.

From the strongest to the weakest:

1. values that no waveform in [−1, 1] can give in the convention,
2. a span that is exactly the convention's dynamic range,
3. a pile of equal lowest values, which only a floor leaves behind,
4. how far the median lies below the loudest entries, and these below full scale.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.compression import compress
from torchmelinv.transforms.mel_bounds import linear_bounds

Verdict = Literal["fits", "possible", "unlikely", "impossible"]
FITS: Verdict = "fits"
POSSIBLE: Verdict = "possible"
UNLIKELY: Verdict = "unlikely"
IMPOSSIBLE: Verdict = "impossible"

# A share of equal lowest values from which on a floor made them, not chance.
_PILE, _PILE_ENTRIES = 0.005, 8
# How far a predicted mel may stray: below a floor, above what a waveform can give, and outside a
# clip or a dynamic range (relative).
_UNDER_DB, _OVER_DB, _STRAY = 6.0, 3.0, 0.1
# Over speech and music under eight presets, the median lay 49 dB below the 99.9th percentile
# (standard deviation of the logarithm 0.15, where another base of the mel's logarithm is 0.83
# away), and the loudest entry 9 to 20 dB below the bound.
_DEPTH_DB, _DEPTH_DEVIATION = 48.6, 0.16
_LOUD_DB, _LOUDER_DEVIATION, _QUIETER_DEVIATION = -15.0, 6.0, 15.0
# (99.9th percentile − median) / (median − 1st percentile): about 1 for a log mel, more for a
# linear one.
_SKEW = 20.0
_ABSURD_DB = 150.0  # beyond, a number of decibels means nothing
_PLAUSIBLE = -12.0  # a score, the negative sum of two squared deviations


class Score(NamedTuple):
    """How well a convention agrees with a mel."""

    verdict: Verdict
    reason: str
    score: float  # higher is better


class ValueStatistics:
    """The values of a mel, and the statistics that each convention is compared with.

    Args:
        values: Finite values (items, n_mels, n_frames) in float64.
        precision: Relative precision of the dtype that the values came in.
    """

    def __init__(self, values: Tensor, precision: float) -> None:
        self.values = values
        self.precision = precision
        ordered = values.flatten().sort().values
        indices = [int(part * (len(ordered) - 1)) for part in (0, 0.01, 0.5, 0.999, 1)]
        self.minimum, self.low, self.median, self.high, self.maximum = ordered[indices].tolist()
        self.lowest_share = self.share_near(self.minimum)

    @property
    def n_mels(self) -> int:
        return self.values.shape[1]

    def tolerance(self, value: float | Tensor) -> Tensor:
        """Return how near to a value counts as equal.

        That is the dtype's precision, plus the rounding of float32 and of decimal constants.
        """
        size = torch.as_tensor(value, dtype=torch.float64).abs().clamp(min=0.05)
        return (2e-4 + self.precision) * size

    def share_near(self, value: float | Tensor, *, linear: bool = False) -> float:
        """Return the share of entries that equal a value; 0 if so few may be chance.

        Args:
            value: One value, or one for each band, (n_mels, 1).
            linear: Whether the values are linear: equal is then relative to the maximum.

        Returns:
            Share of all entries.
        """
        tolerance = 1e-7 * self.maximum if linear else self.tolerance(value)
        near = (self.values - value).abs() <= tolerance
        return float(near.double().mean()) if int(near.sum()) >= _PILE_ENTRIES else 0.0

    @property
    def skewed(self) -> bool:
        """Whether nearly all entries crowd at the low end, as in a linear mel."""
        return self.high - self.median > _SKEW * (self.median - self.low)

    @property
    def piled(self) -> bool:
        """Whether a floor shows: many entries equal the lowest one."""
        return self.lowest_share >= _PILE


def decibels_per_unit(convention: MelConvention) -> float:
    """Return the decibels of amplitude in one unit of a logarithmic mel's values."""
    level = convention.level
    base = 20 / convention.power * (math.log10(math.e) if level.log == "ln" else 1)
    return base / level.multiplier * (abs(level.affine[1]) if level.affine else 1)


def dynamic_range(convention: MelConvention) -> float:
    """Return the dynamic range in the units of the values; infinite if there is none."""
    level = convention.level
    return (level.dynamic_range or math.inf) / (abs(level.affine[1]) if level.affine else 1)


def value_bounds(convention: MelConvention) -> tuple[Tensor, Tensor]:
    """Return `linear_bounds` in the convention's values, without what an item's peak decides.

    The upper bound ignores a clip.
    """
    lowest, highest = linear_bounds(convention)
    absolute = convention.level.replace(reference_max=False, dynamic_range=None)
    return compress(lowest, absolute), compress(highest, absolute.replace(clip=None))


def _depth_and_loudness(
    mel: ValueStatistics, convention: MelConvention, highest: Tensor
) -> tuple[float, float]:
    """Return the depth of the median below the 99.9th percentile, and the loudness, in dB.

    The loudness is that of the loudest entry relative to its bound, mostly negative.
    """
    if convention.level.log is not None:
        unit = decibels_per_unit(convention)
        return (mel.high - mel.median) * unit, float((mel.values - highest).max()) * unit
    ratios = (mel.high / max(mel.median, 1e-30), float((mel.values / highest).max()))
    depth, loudness = (20 / convention.power * math.log10(max(ratio, 1e-30)) for ratio in ratios)
    return depth, loudness


def find_contradiction(
    mel: ValueStatistics, convention: MelConvention, lowest: Tensor, loud_db: float
) -> str | None:
    """Return why the convention cannot have made the mel, from its extremes; None if it can."""
    level, kept = convention.level, dynamic_range(convention)
    minimum, maximum = mel.minimum, mel.maximum
    if level.log is None and minimum < 0:
        return f"the mel reaches {minimum:.3f}, and a linear mel is never negative"
    under = float((lowest - mel.values).max())
    if level.log is not None and under * decibels_per_unit(convention) > _UNDER_DB:
        bound = float(lowest.min())
        return f"the mel reaches {minimum:.3f}, below {bound:.3f}, the lowest value of this preset"
    peak = mel.values.amax((1, 2), keepdim=True)
    span = float((peak - mel.values).max())
    if span > (1 + _STRAY) * kept:
        return f"the mel spans {span:.3f}; this preset keeps {kept:g} below the peak"
    zero = -level.affine[0] / level.affine[1] if level.affine else 0.0
    if level.reference_max and float((peak - zero).abs().max()) > 0.05 * span:
        return f"the mel has its peak at {maximum:.3f}; this preset puts every peak at {zero:g}"
    if level.clip is not None:
        low, high = level.clip
        if max(low - minimum, maximum - high) > _STRAY * (high - low):
            return f"the mel leaves the clip of {low:g} … {high:g}"
    if loud_db == math.inf:
        return "the mel holds values in a band that is empty in this preset"
    if loud_db > _OVER_DB and not level.reference_max:
        beyond = f"{loud_db:.0f} dB" if loud_db < _ABSURD_DB else "far"
        return (
            f"the mel reaches {maximum:.3f}, {beyond} beyond what a waveform in [−1, 1] gives with "
            "this preset"
        )
    return None


def _find_floor(mel: ValueStatistics, convention: MelConvention, lowest: Tensor) -> Score | None:
    """Return the score by a pile of lowest values or a linear skew; None if neither shows."""
    kept, log = dynamic_range(convention), convention.level.log
    low, high = float(lowest.min()), float(lowest.max())
    share = mel.share_near(lowest, linear=log is None)
    if share >= _PILE:
        floor = f"{low:.4f}, this preset's floor"
        if high - low >= 1e-6:
            floor = f"{low:.4f} to {high:.4f}, the lowest of each band"
        return Score(FITS, f"{100 * share:.1f} % of the mel's entries are {floor}", 10.0)
    if mel.piled:
        floor = f"{kept:g} below the peak" if kept < math.inf else f"{low:.4f}"
        pile = f"{100 * mel.lowest_share:.1f} % of the mel's entries are {mel.minimum:.4f}"
        return Score(UNLIKELY, f"{pile}; this preset's floor is {floor}", -20.0)
    if mel.skewed and log is not None:
        reason = "the mel's entries are crowded at the low end, like those of a linear mel"
        return Score(UNLIKELY, reason, -20.0)
    return None


def score_convention(mel: ValueStatistics, convention: MelConvention) -> Score:
    """Score how well a convention agrees with a mel.

    Args:
        mel: Statistics of the mel.
        convention: The convention.

    Returns:
        Verdict, reason and score. The reason is a clause.
    """
    if convention.n_mels != mel.n_mels:
        reason = f"the mel has {mel.n_mels} bands; this preset has {convention.n_mels}"
        return Score(IMPOSSIBLE, reason, -99.0)
    lowest, highest = value_bounds(convention)
    depth_db, loud_db = _depth_and_loudness(mel, convention, highest)
    contradiction = find_contradiction(mel, convention, lowest, loud_db)
    if contradiction:
        return Score(IMPOSSIBLE, contradiction, -50.0)
    kept = dynamic_range(convention)
    spans = mel.values.amax((1, 2)) - mel.values.amin((1, 2))
    if kept < math.inf and bool((spans - kept).abs().max() <= mel.tolerance(kept)):
        reason = f"the mel spans exactly the {kept:g} that this preset keeps below the peak"
        return Score(FITS, reason, 10.0)
    return _find_floor(mel, convention, lowest) or _score_recording(depth_db, loud_db)


def _score_recording(depth_db: float, loud_db: float) -> Score:
    """Return the score by how much the depth and the loudness are those of recordings."""
    depth = math.log(max(depth_db, 1e-3) / _DEPTH_DB) / _DEPTH_DEVIATION
    deviation = _LOUDER_DEVIATION if loud_db > _LOUD_DB else _QUIETER_DEVIATION
    loudness = (loud_db - _LOUD_DB) / deviation
    score = -min(depth**2 + loudness**2, 19.0)
    reason = (
        f"the waveform would peak at {loud_db:.0f} dBFS, and the mel's median would lie "
        f"{depth_db:.0f} dB below its peak"
    )
    if score >= _PLAUSIBLE:
        return Score(POSSIBLE, reason, score)
    return Score(UNLIKELY, f"{reason}: unlike recordings", score)
