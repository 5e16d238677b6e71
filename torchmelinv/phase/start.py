"""Where a phase iteration starts: zero, random, a phase read off the magnitude, given angles, or a given waveform's phase."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError, nearest
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import as_rows
from torchmelinv.ops.impose_magnitude import impose_magnitude
from torchmelinv.phase.pghi import pghi
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.phase.spsi import spsi

# name: (magnitude (items, frames, n_freqs), convention, seed) -> angles, for starts that read the magnitude
_READ: dict[str, Callable[[Tensor, FrameConvention, int], Tensor]] = {
    "spsi": lambda magnitude, convention, _: spsi(magnitude, convention),
    "pghi": pghi,
}
STARTS = ("zero", "random", *_READ)


def check_start(start: object) -> str:
    """The start's name, if it is one."""
    if isinstance(start, str) and start in STARTS:
        return start
    raise InputError(f"start is {start!r}; it must be one of {', '.join(map(repr, STARTS))}{nearest(str(start), STARTS)}")


def start_spectrum(start: str | Tensor, seed: int, magnitude: Tensor, convention: FrameConvention) -> Tensor:
    """Complex spectrum with the given magnitude (items, n_frames, n_freqs) and the angles of the start.

    `start`: `zero`, `random` (uniform on the circle), `spsi` or `pghi` (read off the magnitude, without gradient), or angles in
    radians like the magnitude.
    """
    if not isinstance(start, Tensor):
        start = check_start(start)
        if start == "zero":
            return torch.complex(magnitude, torch.zeros_like(magnitude))
        if start == "random":
            return random_phasors(seed, magnitude.shape[-2], magnitude.shape[-1], magnitude.dtype, magnitude.device) * magnitude
        start = _READ[start](magnitude, convention, seed)
    angles = start.to(magnitude.dtype)
    return torch.complex(magnitude * angles.cos(), magnitude * angles.sin())


def start_angles(
    magnitude: Tensor,
    frame: Frame | FrameConvention,
    start: str = "pghi",
    seed: int = 0,
    previous: Tensor | None = None,
) -> Tensor:
    """Magnitude (…, n_freqs, n_frames) -> angles in radians, same shape, that `start=` takes.

    `start`: one of `STARTS`. With `previous` (…, n_freqs), the angles of the frame before the first, the phases go on from there
    (`spsi` alone can): a chunk that follows another one. Without gradient.
    """
    convention = (frame.convention if isinstance(frame, Frame) else frame).frame
    magnitude = as_rows(magnitude, "magnitude", convention.n_freqs).detach()
    rows = magnitude.reshape(-1, *magnitude.shape[-2:]).mT.contiguous()
    if previous is None and start in _READ:
        angles = _READ[start](rows, convention, seed)
    elif previous is None:
        angles = start_spectrum(start, seed, torch.ones_like(rows), convention).angle()
    else:
        if start != "spsi" or previous.shape != magnitude.shape[:-1]:
            wanted = f"start is {start!r} and previous has shape {tuple(previous.shape)}"
            raise InputError(f"{wanted}; it takes start='spsi' and {tuple(magnitude.shape[:-1])} to go on from a frame before")
        angles = spsi(rows, convention, previous.to(rows.dtype).reshape(-1, convention.n_freqs))
    return angles.mT.reshape(magnitude.shape)


def borrow_phase(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Complex spectrum with the given magnitude and the phase of another; where that one is zero, the angle is 0."""
    return impose_magnitude(torch.where(spectrum == 0, torch.ones_like(spectrum), spectrum), magnitude)
