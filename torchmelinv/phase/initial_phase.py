"""Initial phases: zero, random, estimated from the magnitude, given, or of a waveform."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv._utils.batching import frames_first
from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.validation import check_features, check_real, check_whole
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError, nearest
from torchmelinv.phase.impose_magnitude import impose_magnitude
from torchmelinv.phase.pghi import pghi
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.phase.spsi import spsi

# name: (magnitude (items, frames, n_freqs), convention, seed, whether it was found for a mel)
# -> angles
_FROM_MAGNITUDE: dict[str, Callable[[Tensor, STFTConvention, int, bool], Tensor]] = {
    "spsi": lambda magnitude, convention, *_: spsi(magnitude, convention),
    "pghi": pghi,
}
INITS = ("zero", "random", *_FROM_MAGNITUDE)


def check_init(init: object) -> str:
    """Return the name of an initial phase; refuse anything else."""
    if isinstance(init, str) and init in INITS:
        return init
    allowed = f"one of {', '.join(map(repr, INITS))}"
    if not isinstance(init, str):
        raise InputError(
            f"init has type {type(init).__name__}; it must be {allowed} "
            "(magnitude_to_waveform takes angles, too)"
        )
    raise InputError(f"init is {init!r}; it must be {allowed}{nearest(init, INITS)}")


def check_angles(angles: Tensor, magnitude: Tensor) -> Tensor:
    """Return given angles without gradient, in the magnitude's dtype; refuse what does not fit."""
    angles = check_real(angles, "init (angles)")
    if angles.device != magnitude.device:
        raise InputError(
            f"init (angles) is on {angles.device} and the magnitude on {magnitude.device}; "
            "move one of them"
        )
    leading = zip(reversed(angles.shape[:-2]), reversed(magnitude.shape[:-2]), strict=False)
    fits = angles.shape[-2:] == magnitude.shape[-2:] and angles.ndim <= magnitude.ndim
    if not fits or not all(size in (1, full) for size, full in leading):
        raise InputError(
            f"init (angles) has shape {tuple(angles.shape)}; "
            f"it must broadcast to that of the magnitude, {tuple(magnitude.shape)}"
        )
    return angles.detach().to(magnitude.dtype)


def _estimate(
    init: str, seed: int, magnitude: Tensor, convention: STFTConvention, of_mel: bool
) -> Tensor:
    """Return the angles that `init` estimates from a magnitude (items, n_frames, n_freqs)."""
    return _FROM_MAGNITUDE[init](magnitude, convention, seed, of_mel)


def init_spectrum(
    init: str | Tensor,
    seed: int,
    magnitude: Tensor,
    convention: STFTConvention,
    of_mel: bool = False,
) -> Tensor:
    """Return a complex spectrum with the magnitude (items, n_frames, n_freqs) and the initial
    phase.

    `init` is a name, or angles in radians like the magnitude. Angles that are estimated from the
    magnitude pass no gradient. `of_mel` says that the magnitude was found for a mel.
    """
    if not isinstance(init, Tensor):
        init = check_init(init)
        if init == "zero":
            return torch.complex(magnitude, torch.zeros_like(magnitude))
        if init == "random":
            n_frames, n_freqs = magnitude.shape[-2:]
            phasors = random_phasors(seed, n_frames, n_freqs, magnitude.dtype, magnitude.device)
            return phasors * magnitude
        init = _estimate(init, seed, magnitude, convention, of_mel)
    return torch.complex(magnitude * init.cos(), magnitude * init.sin())


def shared_angles(
    init: str,
    seed: int,
    magnitude: Tensor,
    n_channels: int,
    convention: STFTConvention,
    of_mel: bool,
) -> Tensor | None:
    """Return one initial phase for all channels of a recording, or None for the usual phases.

    Channels with phases of their own would lose their correlation and cancel each other in a mono
    downmix. The phase is estimated from the root of the sum of the channels' power.

    Args:
        init: Name of an initial phase.
        seed: Seed of random phases.
        magnitude: Magnitude (items · channels, n_frames, n_freqs).
        n_channels: Channels of each recording.
        convention: The convention of the STFT.
        of_mel: Whether the magnitude was found for a mel.

    Returns:
        Angles like the magnitude; None if the phase does not depend on the magnitude anyway.
    """
    if check_init(init) not in _FROM_MAGNITUDE:
        return None
    channels = magnitude.detach().unflatten(0, (-1, n_channels))
    peak = channels.amax((1, 2, 3), keepdim=True)
    power = safe_divide(channels, peak).square().sum(1)
    angles = _estimate(init, seed, power.sqrt(), convention, of_mel)
    return angles.repeat_interleave(n_channels, 0)


def initial_phase(
    magnitude: Tensor,
    convention: STFTConvention,
    init: str | None = None,
    seed: int = 0,
    previous: Tensor | None = None,
) -> Tensor:
    """Return the angles of an initial phase; documented in `functional.initial_phase`."""
    check_whole("seed", seed)
    magnitude = check_features(magnitude, "magnitude", convention.n_freqs).detach()
    rows = frames_first(magnitude)
    if init is None:
        init = "pghi" if previous is None else "spsi"
    name = check_init(init)
    if previous is not None:
        previous = check_real(previous, "previous")
        if name != "spsi":
            raise InputError(
                f"init is {init!r} with previous=; only 'spsi' continues from a frame before"
            )
        if previous.shape != magnitude.shape[:-1]:
            allowed = tuple(magnitude.shape[:-1])
            raise InputError(f"previous has shape {tuple(previous.shape)}; it must be {allowed}")
        angles = spsi(rows, convention, previous.to(rows.dtype).reshape(-1, convention.n_freqs))
    elif name in _FROM_MAGNITUDE:
        angles = _estimate(name, seed, rows, convention, of_mel=False)
    else:
        # Of a magnitude of 1, so that angles can be read off the spectrum everywhere.
        angles = init_spectrum(name, seed, torch.ones_like(rows), convention).angle()
    return angles.mT.reshape(magnitude.shape)


def copy_phase(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Return the magnitude with the phase of a spectrum; the angle of a zero is 0."""
    return impose_magnitude(
        torch.where(spectrum == 0, torch.ones_like(spectrum), spectrum), magnitude
    )
