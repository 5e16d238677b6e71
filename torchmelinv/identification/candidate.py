"""The presets that may have made a mel, each with its verdict."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import NamedTuple

from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import preset, preset_info, preset_names
from torchmelinv.identification.scoring import Score, ValueStatistics, Verdict, score_convention


@dataclasses.dataclass(frozen=True)
class Candidate:
    """How well one preset agrees with a mel.

    Args:
        preset: Name of the preset.
        model_space: Whether the convention is that of ``preset(name, model_space=True)``.
        verdict: ``"fits"``, ``"possible"``, ``"unlikely"`` or ``"impossible"``.
        reason: The evidence, as a clause: "the mel spans …".
        score: Score of the preset; higher is better.
        convention: Convention of the preset.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.zeros(22050))
        >>> candidate = tmi.identify(mel).best[0]
        >>> candidate.verdict, candidate.log
        ('fits', 'ln')
    """

    preset: str
    model_space: bool
    verdict: Verdict
    reason: str
    score: float
    convention: MelConvention = dataclasses.field(repr=False)

    @property
    def title(self) -> str:
        """The preset's name, marked if its model space or another number of bands is meant."""
        if self.model_space:
            return f"{self.preset} (model space)"
        n_mels = self.convention.n_mels
        own = n_mels == preset(self.preset).n_mels
        return self.preset if own else f"{self.preset} with --n-mels {n_mels}"

    @property
    def log(self) -> str:
        """The kind of the preset's values, as in `Identification.log`."""
        level = self.convention.level
        if level.affine or level.clip:
            return "normalized"
        if level.log is None:
            return "linear"
        return "dB" if level.multiplier >= 10 else level.log


class NamedConvention(NamedTuple):
    """The convention of a preset or of its model space."""

    preset: str
    model_space: bool
    convention: MelConvention


# The preset of a function whose users choose the number of bands.
_OF_ANY_BANDS = "librosa_power_to_db"
_MOST_BANDS = 512


def with_bands(conventions: Iterable[NamedConvention], n_mels: int) -> list[NamedConvention]:
    """Return the conventions, that of librosa's decibels with this number of bands."""
    return [
        each._replace(convention=each.convention.replace(n_mels=n_mels))
        if each.preset == _OF_ANY_BANDS and n_mels <= _MOST_BANDS
        else each
        for each in conventions
    ]


@functools.cache
def preset_conventions() -> tuple[NamedConvention, ...]:
    """Return each preset, and each model space that needs no statistics from its user."""
    conventions = []
    for name in preset_names():
        conventions.append(NamedConvention(name, False, preset(name)))
        row = preset_info(name)
        if row.model_space and not row.needs:
            conventions.append(NamedConvention(name, True, preset(name, model_space=True)))
    return tuple(conventions)


def score_presets(mel: ValueStatistics, conventions: Iterable[NamedConvention]) -> list[Candidate]:
    """Return one candidate for each convention, best first."""
    scores: dict[MelConvention, Score] = {}  # many presets share a convention
    candidates = []
    for name, model_space, convention in conventions:
        if convention not in scores:
            scores[convention] = score_convention(mel, convention)
        candidates.append(Candidate(name, model_space, *scores[convention], convention))
    return sorted(candidates, key=lambda candidate: -candidate.score)
