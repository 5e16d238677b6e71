"""What is checked once, at the door: that a mel can be one of its convention, before any loop runs.

Each mistake has one error that says what came, what is allowed and what to do. Looking at values makes the host wait for the
device once; `check=False` skips that, and so do compiled graphs and graph capture.
"""

from __future__ import annotations

import math
import os
import sys
import warnings

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError, LevelWarning
from torchmelinv.evidence import linear_bounds
from torchmelinv.level import logarithmic
from torchmelinv.ops.checks import as_real

_LARGEST = 1e18  # whose square still fits float32
_LOUD = 100.0  # times the loudest mel of a waveform in [−1, 1]: beyond it the level must be another


def _caller_level() -> int:
    """The `stacklevel` at which a warning names the line that called this package."""
    inside = (os.path.dirname(__file__), os.path.dirname(torch.__file__))
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        level, frame = level + 1, frame.f_back
    return level


def as_linear(mel: Tensor) -> Tensor:
    """A mel of which nothing is known, without its negative values; a `LevelWarning` where most are (devices are not asked)."""
    if mel.device.type == "cpu" and float((mel.detach() < 0).float().mean()) > 0.5:
        doubt = f"most of the mel's values are negative (down to {float(mel.min()):.3g}) and count as 0: is this a log mel?"
        warnings.warn(f"{doubt} A linear one is needed here; MelInverter takes logs", LevelWarning, stacklevel=_caller_level())
    return mel.relu()


def check_shape(mel: Tensor, convention: MelConvention) -> Tensor:
    """The mel in float32 or float64, if its shape is (…, n_mels, n_frames ≥ 1)."""
    mel = as_real(mel, "mel")
    wanted = f"(…, {convention.n_mels}, n_frames)"
    shape = tuple(mel.shape)
    if mel.ndim < 2:
        raise InputError(f"the mel has shape {shape}; it must be {wanted}")
    if shape[-2] != convention.n_mels:
        if shape[-1] == convention.n_mels:
            raise InputError(f"the mel has shape {shape}: it looks transposed (frames first); give {wanted}, as mel.mT")
        raise InputError(f"the mel has {shape[-2]} bands (shape {shape}); this convention has {convention.n_mels}: give {wanted}")
    if mel.numel() == 0:
        raise InputError(f"the mel is empty (shape {shape}); at least one item and one frame are needed")
    return mel


def check_values(mel: Tensor, convention: MelConvention, frames: Tensor | None = None) -> None:
    """Refuse what no mel of this convention is; warn of what looks like another level. `frames`: True where one counts."""
    doubt = doubtful_values(mel, convention, frames)
    if doubt is not None:
        warnings.warn(doubt, LevelWarning, stacklevel=_caller_level())


def doubtful_values(mel: Tensor, convention: MelConvention, frames: Tensor | None = None) -> str | None:
    """Refuse like `check_values`; what it would warn of, in words: warnings belong to the process, and are not for threads."""
    values = mel.detach() if frames is None else torch.where(frames, mel.detach(), 0)
    if not bool(torch.isfinite(values.sum())) and not bool((finite := torch.isfinite(values)).all()):
        broken = (~finite).any(-2).nonzero()
        *item, frame = broken[0].tolist()
        where = f"frame {frame}" + (f" of item {item[0] if len(item) == 1 else tuple(item)}" if item else "")
        raise InputError(f"the mel has NaN or infinite values, first in {where} ({len(broken)} such frames); mend or drop them")
    values = mel.detach() if frames is None else mel.detach()[frames.expand_as(mel)]
    low, high = float(values.min()), float(values.max())
    if convention.level.log is None:
        rounding = 1e-6 * max(high, 0.0)  # a mel that went through a resampler or a file may dip that far below 0
        if low < -rounding and convention.level.affine is None and convention.level.band_mean is None:
            look = ": a log mel? Use the convention that made it" if low < -1 else ""
            raise InputError(f"the mel has negative values (down to {low:.3g}), but this convention is linear{look}")
        return None
    counted = mel.detach() if frames is None else torch.where(frames, mel.detach(), mel.detach()[..., :1])
    logs = logarithmic(counted, convention.level)
    base = 1.0 if convention.level.log == "ln" else math.log(10)
    # A reference or a dynamic range is relative to the item's peak, so only the absolute conventions have a loudest value.
    ceiling = math.inf if convention.level.reference_max else math.log(_LOUD * float(linear_bounds(convention)[1].max())) / base
    if float(logs.max()) * base > math.log(_LARGEST):
        raise InputError(f"the mel's values, up to {high:.3g}, stand for more than {_LARGEST:g}: another level made them")
    what = "dB or log10 values" if convention.level.log == "ln" else "dB or ln values"
    if float(logs.min()) >= 0 and not convention.level.reference_max:
        doubt = f"all values (from {low:.3g} to {high:.3g}) mean bands louder than 1: this looks like a linear mel, not a log"
    elif convention.level.floor is not None and float(logs.min()) < (math.log(convention.level.floor) - math.log(_LOUD)) / base:
        doubt = f"values down to {low:.3g} are far below this convention's floor: this looks like {what}"
    elif float(logs.max()) > ceiling:
        doubt = f"values up to {high:.3g} are beyond what a waveform in [-1, 1] gives: this looks like {what}, or a linear mel"
    else:
        return None
    return f"{doubt}; is this its convention?"
