"""Where a phase iteration starts: zero, random, a phase read off the magnitude, given angles, or a given waveform's phase."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError, nearest
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import as_real, as_rows, check_whole
from torchmelinv.ops.impose_magnitude import impose_magnitude
from torchmelinv.phase.pghi import by_forest_kernel, pghi
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
    allowed = f"one of {', '.join(map(repr, STARTS))}"
    if not isinstance(start, str):
        raise InputError(f"start is a {type(start).__name__}; it must be {allowed} (functions of a magnitude take angles, too)")
    raise InputError(f"start is {start!r}; it must be {allowed}{nearest(start, STARTS)}")


def check_angles(angles: Tensor, magnitude: Tensor) -> Tensor:
    """Given angles, if they are real and broadcast to the magnitude; without gradient, in its dtype."""
    angles = as_real(angles, "start (angles)")
    if angles.device != magnitude.device:
        raise InputError(f"the start's angles are on {angles.device} and the magnitude on {magnitude.device}; move one of them")
    lead = zip(reversed(angles.shape[:-2]), reversed(magnitude.shape[:-2]), strict=False)
    fits = angles.shape[-2:] == magnitude.shape[-2:] and angles.ndim <= magnitude.ndim and all(a in (1, b) for a, b in lead)
    if not fits:
        shapes = f"{tuple(angles.shape)}; they must be like the magnitude, {tuple(magnitude.shape)}"
        raise InputError(f"the start's angles have shape {shapes}")
    return angles.detach().to(magnitude.dtype)


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
        if start == "pghi" and magnitude.is_cuda and torch.cuda.is_current_stream_capturing() and not by_forest_kernel(magnitude):
            reason = "start 'pghi' asks the device for sizes, which a graph capture cannot"
            raise InputError(f"{reason}; use backend 'cuda', or start='spsi' or 'random'")
        start = _READ[start](magnitude, convention, seed)
    return torch.complex(magnitude * start.cos(), magnitude * start.sin())


def start_angles(
    magnitude: Tensor,
    frame: Frame | FrameConvention,
    start: str | None = None,
    seed: int = 0,
    previous: Tensor | None = None,
) -> Tensor:
    """Magnitude (…, n_freqs, n_frames) -> angles in radians, same shape, that `start=` takes. Without gradient.

    `start`: one of `STARTS`, by default `pghi`. With `previous` (…, n_freqs), the angles of the frame before the first one, the
    phases go on from there, by `spsi`: for a chunk that follows another.
    """
    convention = (frame if isinstance(frame, Frame) else Frame(frame)).convention
    check_whole("seed", seed)
    magnitude = as_rows(magnitude, "magnitude", convention.n_freqs).detach()
    rows = magnitude.reshape(-1, *magnitude.shape[-2:]).mT.contiguous()
    name = check_start(("pghi" if previous is None else "spsi") if start is None else start)
    if previous is None:
        known = torch.ones_like(rows)  # what is not read off the magnitude can be read off again
        angles = _READ[name](rows, convention, seed) if name in _READ else start_spectrum(name, seed, known, convention).angle()
    else:
        previous = as_real(previous, "previous")
        if name != "spsi":
            raise InputError(f"start is {start!r} with previous=; spsi alone goes on from a frame before")
        if previous.shape != magnitude.shape[:-1]:
            raise InputError(f"previous has shape {tuple(previous.shape)}; it must be {tuple(magnitude.shape[:-1])}")
        angles = spsi(rows, convention, previous.to(rows.dtype).reshape(-1, convention.n_freqs))
    return angles.mT.reshape(magnitude.shape)


def borrow_phase(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Complex spectrum with the given magnitude and the phase of another; where that one is zero, the angle is 0."""
    return impose_magnitude(torch.where(spectrum == 0, torch.ones_like(spectrum), spectrum), magnitude)
