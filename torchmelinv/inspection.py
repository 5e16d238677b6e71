"""What is this mel? Its shape, orientation, likely logarithm and floor, and which presets could have made it, with reasons."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.evidence import FITS, IMPOSSIBLE, POSSIBLE, Values, judge
from torchmelinv.presets import about, preset, preset_names

_INDISTINCT = 3.0  # scores that differ by less are no reason to prefer one preset


@dataclasses.dataclass(frozen=True)
class Fit:
    """How one preset agrees with a mel."""

    preset: str
    model_space: bool  # as `preset(name, model_space=True)`
    verdict: str  # fits, possible, unlikely or impossible
    reason: str
    score: float  # higher is better
    convention: MelConvention = dataclasses.field(repr=False)

    @property
    def title(self) -> str:
        """The preset's name, with a word where its model space is meant."""
        return f"{self.preset} (model space)" if self.model_space else self.preset

    @property
    def kind(self) -> str:
        """The word that `Inspection.log` has for this preset's values."""
        level = self.convention.level
        if level.affine or level.clip:
            return "normalised"
        return "linear" if level.log is None else "dB" if level.multiplier >= 10 else level.log


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What a mel's own numbers say about it."""

    shape: tuple[int, ...]
    dtype: str
    n_mels: int
    n_frames: int
    transposed: bool  # it came as (…, n_frames, n_mels)
    perhaps_transposed: bool  # both dimensions are numbers of bands that presets have; it was read as it came
    n_not_finite: int  # entries that are NaN or Inf; their frames are left out of everything below
    minimum: float
    maximum: float
    mean: float
    deviation: float
    share_at_minimum: float
    log: str  # ln, log10, dB, linear, normalised or unknown
    floor: float | None  # in the linear domain, where a pile of lowest values gives it away
    reason: str  # for `log` and `floor`
    fits: tuple[Fit, ...]  # of every preset, best first

    @property
    def best(self) -> tuple[Fit, ...]:
        """The presets that agree best, as far as the mel can tell them apart; empty where none is at least possible."""
        top = self.fits[0]
        near = (fit for fit in self.fits if fit.verdict == top.verdict and fit.score > top.score - _INDISTINCT)
        return tuple(near) if top.verdict in (FITS, POSSIBLE) else ()


def _floor(mel: Values) -> tuple[str, float, str] | None:
    """The logarithm under which a pile of lowest values is a power of ten, that power, and the sentence; else None."""
    if not mel.piled or mel.minimum > -2:
        return None
    depth = mel.high - mel.median
    # logarithm: its value of ten, and what may lie between the middle entry and the loudest in a recording
    readings = {"ln": (math.log(10), 1.5, 20.0), "log10": (1.0, 0.7, 8.0), "dB": (10.0, 15.0, 100.0)}
    for log, (ten, least, most) in readings.items():
        exponent = mel.minimum / ten
        power = round(exponent)
        whole = abs(exponent - power) <= float(mel.tolerance(exponent)) and -16 <= power <= -3
        if whole and (depth == 0 or least <= depth <= most):
            value = f"{'10 log10' if log == 'dB' else log} 1e{power}"
            return log, 10.0**power, f"{mel.lowest_share:.1%} of the entries are the lowest value, {mel.minimum:.4f} = {value}"
    return None


def _logarithm(mel: Values, best: Sequence[Fit]) -> tuple[str, float | None, str]:
    """The likely logarithm, the floor in the linear domain where it shows, and why."""
    floor = _floor(mel)
    kinds = {fit.kind for fit in best}
    if floor and (not kinds or floor[0] in kinds):
        return floor
    if len(kinds) == 1:
        return kinds.pop(), None, f"read as {best[0].title}, it {best[0].reason}"
    if mel.minimum >= 0:
        if mel.skewed or mel.median < 0.1 * mel.maximum:
            return "linear", None, "no entry is negative, and most are far below the largest"
        return "normalised", None, f"no entry is negative, and the middle one is {mel.median:.3f} of at most {mel.maximum:.3f}"
    if mel.maximum - mel.minimum <= 2.2 or (abs(mel.minimum + 4) < 1e-3 and mel.maximum <= 4.001):
        return "normalised", None, f"all entries lie between {mel.minimum:.3f} and {mel.maximum:.3f}"
    depth = mel.high - mel.median
    for log, least, most in (("dB", 25.0, 85.0), ("ln", 3.7, 16.0), ("log10", 1.5, 3.7)):
        if least <= depth < most:
            return log, None, f"the middle entry lies {depth:.1f} below the loudest, as in recordings in {log}"
    return "unknown", None, f"the middle entry lies {depth:.3g} below the loudest, which no usual logarithm of a recording gives"


def _candidates() -> list[tuple[str, bool, MelConvention]]:
    """Every preset, and its model space where that needs no statistics of its user's."""
    spaces = [(name, space) for name in preset_names() for space in (False, True)]
    wanted = [(name, space) for name, space in spaces if not space or (about(name).model_space and not about(name).needs)]
    return [(name, space, preset(name, model_space=space)) for name, space in wanted]


def inspect(mel: Tensor) -> Inspection:
    """Look at a mel (…, n_mels, n_frames) of unknown make; one that came as (…, n_frames, n_mels) is recognised by its shape.

    Cost: some passes over the values for each preset with that number of bands. `InputError` where there is nothing to look at.
    """
    if not isinstance(mel, Tensor) or mel.ndim < 2 or mel.numel() == 0 or mel.is_complex():
        came = f"{mel.dtype} of shape {tuple(mel.shape)}" if isinstance(mel, Tensor) else type(mel).__name__
        raise InputError(f"a mel to inspect is a real tensor (…, n_mels, n_frames) that is not empty; this is {came}")
    candidates = _candidates()
    known = {convention.n_mels for _, _, convention in candidates}
    transposed = mel.shape[-2] not in known and mel.shape[-1] in known
    upright = mel.detach().cpu().mT if transposed else mel.detach().cpu()
    n_mels, n_frames = upright.shape[-2:]
    items = upright.double().reshape(-1, n_mels, n_frames)
    finite = torch.isfinite(items)
    whole = items if finite.all() else items.mT[finite.all(1)].T[None]
    if whole.numel() == 0:
        raise InputError(f"every frame of the mel of shape {tuple(mel.shape)} holds NaN or Inf: nothing is left to look at")
    looked = Values(whole, torch.finfo(mel.dtype).eps if mel.is_floating_point() else 0.0)
    verdicts: dict[MelConvention, tuple[str, str, float]] = {}  # many presets share one
    for _, _, convention in candidates:
        if convention.n_mels != n_mels:
            verdicts[convention] = (IMPOSSIBLE, f"has {convention.n_mels} bands; this mel has {n_mels}", -99.0)
        elif convention not in verdicts:
            verdicts[convention] = judge(looked, convention)
    fits = [Fit(name, space, *verdicts[convention], convention) for name, space, convention in candidates]
    found = Inspection(
        shape=tuple(mel.shape), dtype=str(mel.dtype).removeprefix("torch."), n_mels=n_mels, n_frames=n_frames,
        transposed=transposed, perhaps_transposed=n_mels in known and n_frames in known,
        n_not_finite=int((~finite).sum()), minimum=looked.minimum, maximum=looked.maximum,
        mean=float(whole.mean()), deviation=float(whole.std(correction=0)), share_at_minimum=looked.lowest_share,
        log="unknown", floor=None, reason="", fits=tuple(sorted(fits, key=lambda fit: -fit.score)),
    )
    log, floor, reason = _logarithm(looked, found.best)
    return dataclasses.replace(found, log=log, floor=floor, reason=reason)
