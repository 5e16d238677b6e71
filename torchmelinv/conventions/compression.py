"""Convention of the compression: decibels, logarithms and normalizations of a mel."""

from __future__ import annotations

import dataclasses
from typing import Literal

from torchmelinv.conventions.validated import ValidatedRecord, named_fields

__all__ = ["Compression"]

LOGS = ("ln", "log10", None)


@named_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class Compression(ValidatedRecord):
    """Convention of the compression: how a linear mel becomes the values that a model sees.

    The fields act in their order, each only if it is set. `max(x)` is the item's peak::

        x ← max(x, floor), or x + offset
        x ← log(x)
        x ← multiplier · x + shift
        x ← x − max(x)                            (reference_max)
        x ← max(x, max(x) − dynamic_range)
        x ← (x − center) / scale                  (affine)
        x ← min(max(x, low), high)                (clip)
        x ← (x − band_mean) / band_scale

    Args:
        floor: Lower bound of the linear mel, above 0. Default: none.
        offset: Number added to the linear mel, at least 0. Only one of `floor` and `offset` may be
            set, and a logarithm needs one of them.
        log: ``"ln"``, ``"log10"``, or None for a linear mel.
        multiplier: Factor of the logarithm, above 0. Decibels of a power mel have 10, decibels of a
            magnitude mel 20.
        shift: Number added after `multiplier`.
        reference_max: Whether the item's peak is subtracted. Needs a logarithm.
        dynamic_range: Largest distance below the item's peak, above 0, in the values' own unit
            (dB for decibels). Needs a logarithm. Default: none.
        affine: (center, scale) of (x − center) / scale, with a scale that is not 0. Default: none.
        clip: (low, high) to which the values are clipped, with low below high. Default: none.
        band_mean: Mean of each band that is subtracted last, n_mels numbers. Default: none.
        band_scale: Number that each band is divided by last, n_mels numbers without 0. Default:
            none.

    Raises:
        ConventionError: If a field has no such value, or fields contradict each other.

    Example:
        >>> import torchmelinv as tmi
        >>> decibels = tmi.Compression(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
        >>> tmi.preset("librosa_melspectrogram", level=decibels).level == decibels
        True
    """

    floor: float | None = None
    offset: float = 0.0
    log: Literal["ln", "log10"] | None = None
    multiplier: float = 1.0
    shift: float = 0.0
    reference_max: bool = False
    dynamic_range: float | None = None
    affine: tuple[float, float] | None = None
    clip: tuple[float, float] | None = None
    band_mean: tuple[float, ...] | None = None
    band_scale: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self._require_one_of("log", LOGS)
        if self.floor is not None:
            self._require_number("floor", 0, above=True)
        self._require_number("offset", 0)
        if self.log is None:
            linear = "for a linear mel: it needs a logarithm"
            self._require("reference_max", not self.reference_max, f"False {linear}")
            self._require("dynamic_range", self.dynamic_range is None, f"None {linear}")
        else:
            finite = self.floor is not None or self.offset > 0
            self._require("floor", finite, "above 0, or offset must be: log(0) is not finite")
        self._require("offset", self.floor is None or self.offset == 0, "0 if there is a floor")
        self._require_number("multiplier", 0, above=True)
        self._require_number("shift")
        self._require_flag("reference_max")
        if self.dynamic_range is not None:
            self._require_number("dynamic_range", 0, above=True)
        self._require_floats("affine", 2)
        valid = self.affine is None or self.affine[1] != 0
        self._require("affine", valid, "(center, scale) with a scale that is not 0")
        self._require_floats("clip", 2)
        valid = self.clip is None or self.clip[0] < self.clip[1]
        self._require("clip", valid, "(low, high) with low below high")
        self._require_floats("band_mean")
        self._require_floats("band_scale")
        valid = self.band_scale is None or 0 not in self.band_scale
        self._require("band_scale", valid, "without a 0")
