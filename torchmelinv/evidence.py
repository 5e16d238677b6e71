"""What speaks for and against one convention having made a given mel, in an order of strength.

Values that no waveform in [−1, 1] can give under it; a span that is exactly its dynamic range; a pile of equal lowest values,
which only a floor leaves behind; and, where none of these speaks, how far the middle entry would lie below the loudest, and the
loudest below full scale.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.filterbank import mel_matrix
from torchmelinv.level import compress
from torchmelinv.window import window_table

FITS, POSSIBLE, UNLIKELY, IMPOSSIBLE = ("fits", "possible", "unlikely", "impossible")

# A share of equal lowest values from which on they are a floor's doing, not chance.
_PILE, _PILE_ENTRIES = 0.005, 8
# What a predicted mel may stray: below a floor, above what a waveform can give, and outside a clip or a dynamic range.
_UNDER_DB, _OVER_DB, _STRAY = 6.0, 3.0, 0.1
# Over speech and music under eight presets, the middle entry lay 49 dB below the 99.9th percentile (standard deviation of the
# logarithm 0.15, where another base of the mel's logarithm is 0.83 away), and the loudest 9 to 20 dB below the bound.
_DEPTH_DB, _DEPTH_DEVIATION = 48.6, 0.16
_LOUD_DB, _LOUDER_DEVIATION, _QUIETER_DEVIATION = -15.0, 6.0, 15.0
_SKEW = 20.0  # between the loudest and the middle entry, for the distance of the middle from the lowest: about 1 for a log mel
_PLAUSIBLE = -12.0  # a score, the negative sum of two squared deviations


class Values:
    """The entries of a mel (items, n_mels, n_frames) in float64, and what every convention is held against."""

    def __init__(self, values: Tensor, precision: float) -> None:
        self.values = values
        self.precision = precision
        ordered = values.flatten().sort().values
        places = [int(part * (len(ordered) - 1)) for part in (0, 0.01, 0.5, 0.999, 1)]
        self.minimum, self.low, self.median, self.high, self.maximum = ordered[places].tolist()
        self.lowest_share = self.share_near(self.minimum)

    def tolerance(self, value: float | Tensor) -> Tensor:
        """How near is equal: the precision of the dtype, and what float32 arithmetic and decimal constants add to it."""
        return (2e-4 + self.precision) * torch.as_tensor(value, dtype=torch.float64).abs().clamp(min=0.05)

    def share_near(self, value: float | Tensor, *, linear: bool = False) -> float:
        """Share of the entries that equal a value, or each band's own, (n_mels, 1); 0 for what may be chance."""
        near = (self.values - value).abs() <= (1e-7 * self.maximum if linear else self.tolerance(value))
        return float(near.double().mean()) if int(near.sum()) >= _PILE_ENTRIES else 0.0

    @property
    def skewed(self) -> bool:
        """Whether nearly all entries crowd at the low end, as before a logarithm."""
        return self.high - self.median > _SKEW * (self.median - self.low)

    @property
    def piled(self) -> bool:
        """Whether a floor shows: many entries are the lowest one."""
        return self.lowest_share >= _PILE


def decibels_per_unit(convention: MelConvention) -> float:
    """Decibels of amplitude in one unit of a logarithmic mel's values."""
    level = convention.level
    base = 20 / convention.power * (math.log10(math.e) if level.log == "ln" else 1)
    return base / level.multiplier * (abs(level.affine[1]) if level.affine else 1)


def kept_range(convention: MelConvention) -> float:
    """The dynamic range in the units of the values; infinite where there is none."""
    level = convention.level
    return (level.dynamic_range or math.inf) / (abs(level.affine[1]) if level.affine else 1)


def linear_bounds(convention: MelConvention) -> tuple[Tensor, Tensor]:
    """Lowest and highest linear mel of each band, (n_mels, 1) in float64, that waveforms in [−1, 1] give.

    By Parseval and Cauchy-Schwarz: Σ|X|² ≤ n_fft Σw² / 2 over the bins of one side, so Σ M|X| ≤ √(ΣM² · that) and
    Σ M|X|² ≤ max M · that.
    """
    matrix = mel_matrix(convention)
    least = max(convention.magnitude_offset, convention.magnitude_floor)
    lowest = matrix.sum(1, keepdim=True) * least ** (convention.power / 2)
    energy = convention.n_fft * float(window_table(convention).square().sum()) / 2 * (1 + convention.pre_emphasis) ** 2
    energy += convention.n_freqs * least
    if convention.power == 2:
        highest = matrix.amax(1, keepdim=True) * energy
    else:
        highest = (matrix.square().sum(1, keepdim=True) * energy).sqrt() ** convention.power
    return lowest, highest


def bounds(convention: MelConvention) -> tuple[Tensor, Tensor]:
    """`linear_bounds` as values of the convention's level, but for what depends on the item's peak and, above, for a clip."""
    lowest, highest = linear_bounds(convention)
    plain = convention.level.replace(reference_max=False, dynamic_range=None)
    return compress(lowest, plain), compress(highest, plain.replace(clip=None))


def _depth_and_loudness(mel: Values, convention: MelConvention, highest: Tensor) -> tuple[float, float]:
    """How far, in dB, the middle entry lies below the loudest ones, and the loudest above (mostly below) its bound."""
    if convention.level.log is not None:
        unit = decibels_per_unit(convention)
        return (mel.high - mel.median) * unit, float((mel.values - highest).max()) * unit
    ratios = (mel.high / max(mel.median, 1e-30), float((mel.values / highest).max()))
    depth, loudness = (20 / convention.power * math.log10(max(ratio, 1e-30)) for ratio in ratios)
    return depth, loudness


def contradiction(mel: Values, convention: MelConvention, lowest: Tensor, loud_db: float) -> str:
    """Why the convention cannot have made the mel, judged by its extremes; empty where it can."""
    level, kept = convention.level, kept_range(convention)
    if level.log is None and mel.minimum < 0:
        return f"reaches {mel.minimum:.3f}, and a linear mel is never negative"
    if level.log is not None and float((lowest - mel.values).max()) * decibels_per_unit(convention) > _UNDER_DB:
        return f"reaches {mel.minimum:.3f}, below {float(lowest.min()):.3f}, the lowest value of this preset"
    peak = mel.values.amax((1, 2), keepdim=True)
    span = float((peak - mel.values).max())
    if span > (1 + _STRAY) * kept:
        return f"spans {span:.3f}; this preset keeps {kept:g} below the peak"
    zero = -level.affine[0] / level.affine[1] if level.affine else 0.0
    if level.reference_max and float((peak - zero).abs().max()) > 0.05 * span:
        return f"has its peak at {mel.maximum:.3f}; this preset puts every peak at {zero:g}"
    if level.clip and max(level.clip[0] - mel.minimum, mel.maximum - level.clip[1]) > _STRAY * (level.clip[1] - level.clip[0]):
        return f"leaves the clip of {level.clip[0]:g} … {level.clip[1]:g}"
    if loud_db > _OVER_DB and not level.reference_max:
        return f"reaches {mel.maximum:.3f}, {loud_db:.0f} dB beyond what a waveform in [−1, 1] gives with this preset"
    return ""


def judge(mel: Values, convention: MelConvention) -> tuple[str, str, float]:
    """Verdict, reason and score, higher for better; the mel must have as many bands as the convention."""
    lowest, highest = bounds(convention)
    depth_db, loud_db = _depth_and_loudness(mel, convention, highest)
    impossible = contradiction(mel, convention, lowest, loud_db)
    if impossible:
        return IMPOSSIBLE, impossible, -50.0
    kept = kept_range(convention)
    spans = mel.values.amax((1, 2)) - mel.values.amin((1, 2))
    if kept < math.inf and bool((spans - kept).abs().max() <= mel.tolerance(kept)):
        return FITS, f"spans exactly the {kept:g} that this preset keeps below the peak", 10.0
    share = mel.share_near(lowest, linear=convention.level.log is None)
    if share >= _PILE:
        low, top = float(lowest.min()), float(lowest.max())
        where = f"{low:.4f}, this preset's floor" if top - low < 1e-6 else f"{low:.4f} to {top:.4f}, the lowest of each band"
        return FITS, f"has {share:.1%} of its entries at {where}", 10.0
    if mel.piled:
        own = f"{kept:g} below the peak" if kept < math.inf else f"{float(lowest.min()):.4f}"
        return UNLIKELY, f"has {mel.lowest_share:.1%} of its entries at {mel.minimum:.4f}; this preset's floor is {own}", -20.0
    if mel.skewed and convention.level.log is not None:
        return UNLIKELY, "has its entries crowded at the low end, as a linear mel has before its logarithm", -20.0
    depth = math.log(max(depth_db, 1e-3) / _DEPTH_DB) / _DEPTH_DEVIATION
    loudness = (loud_db - _LOUD_DB) / (_LOUDER_DEVIATION if loud_db > _LOUD_DB else _QUIETER_DEVIATION)
    score = -min(depth**2 + loudness**2, 19.0)
    figures = f"would peak {-loud_db:.0f} dB below full scale, its middle entry {depth_db:.0f} dB below that"
    return (POSSIBLE, figures, score) if score >= _PLAUSIBLE else (UNLIKELY, f"{figures}: unlike recordings", score)
