"""Mel-consistent inversion of long items, in memory that hardly grows beyond the signals.

The state of Griffin-Lim and its accelerations is signals alone, so their iterations need no whole
spectrum (`blockwise.py`). The initial magnitude and its phase are found in pieces of about a
minute, which meet in the quietest frame nearby. PGHI integrates from the loudest bin of each part
of the plane, so a piece of its own may differ from the whole by a constant angle; each is turned to
agree with the one before in the frame where they meet. That, and the peak of the item, which is
estimated from the smooth envelope, is where the result differs from that of the whole item: the
iterations, and phases that are random or zero, are the same.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor

from torchmelinv._utils.batching import frames_first, ranges
from torchmelinv._utils.numerics import safe_divide, safe_pow
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.phase.blockwise import BlockwiseProblem, inverse_in_blocks
from torchmelinv.phase.iterate_stages import relative_change
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.pghi import pghi
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.phase.target import MelData
from torchmelinv.solvers.iterate import iterate
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.overlap_add import overlap_add
from torchmelinv.transforms.stft_plan import STFTPlan, fit_length

LARGEST_WHOLE = 2**30  # bytes of an inversion; longer items are inverted in pieces
# For each frame and sample of its Fourier transform. Measured on the CPU at 75 % overlap: 101 to
# 135 bytes, depending on the convention.
BYTES_PER_SAMPLE = 160
_SIGNAL_BYTES = 36  # for each sample; measured for an hour of hifigan_22k, its mel included: 35
_PIECE_SAMPLES = 2**22  # of all frames of a piece
_CONTEXT = 16  # frames on each side of a piece, for its phase and its fine structure
_SEARCHED = 0.25  # of a piece: the part at its end that is searched for the quietest frame
INITS = ("pghi", "random", "zero")


def memory_of(convention: STFTConvention, n_frames: int, n_samples: int | None = None) -> int:
    """Estimate the bytes of an inversion; `n_samples` are those of all channels, if in pieces."""
    whole = BYTES_PER_SAMPLE * convention.n_fft * n_frames
    if n_samples is None or whole <= LARGEST_WHOLE:
        return whole
    return LARGEST_WHOLE + _SIGNAL_BYTES * n_samples


def is_long(convention: STFTConvention, n_frames: int, device: torch.device) -> bool:
    """Return whether an inversion of all frames at once would take too much memory.

    That is more than 1 GiB, or on a CUDA device half of its memory: pieces wait for the device, and
    are inverted one after the other, without kernels.
    """
    whole = memory_of(convention, n_frames)
    if whole <= LARGEST_WHOLE or device.type != "cuda":
        return whole > LARGEST_WHOLE
    return whole > torch.cuda.get_device_properties(device).total_memory // 2


def _pieces(level: Tensor, size: int) -> list[tuple[int, int]]:
    """Return consecutive pieces of about `size` frames that meet in quiet frames.

    `level` (n_frames,) is the level of each frame. A piece ends before its second number.
    """
    bounds, n_frames = [0], len(level)
    while n_frames - bounds[-1] > size:
        searched = bounds[-1] + round((1 - _SEARCHED) * size)
        bounds.append(searched + int(level[searched : bounds[-1] + size].argmin()))
    return list(zip(bounds, [*bounds[1:], n_frames], strict=True))


@dataclasses.dataclass(frozen=True, eq=False)
class InitialPhase:
    """The initial magnitude of an item, or of the channels of a recording, and its phase.

    Args:
        plan: The plan of all frames.
        magnitude_of: Returns the magnitude (items, end − first, n_freqs) of the frames first to
            end, at the scale of the iteration.
        peak: Estimate of the peak of each item's magnitude, (items, 1, 1).
        init: One of `INITS`.
        seed: Seed of random phases.
        channels: Whether the items are channels, which share their phase.
    """

    plan: STFTPlan
    magnitude_of: Callable[[int, int], Tensor]
    peak: Tensor
    init: str
    seed: int
    channels: bool

    def signal(self, level: Tensor) -> Tensor:
        """Return the signals (items, samples); `level` (n_frames,) is that of each frame."""
        plan = self.plan
        if self.init != "pghi":
            return inverse_in_blocks(plan, self._independent, self.peak)
        hop = plan.convention.hop_length
        padded = self.peak.new_zeros(len(self.peak), hop * (plan.n_frames - 1) + len(plan.window))
        last = None
        for first, end in _pieces(level, max(4 * _CONTEXT, _PIECE_SAMPLES // len(plan.window))):
            spectrum, last = self._estimated(first, end, last)
            frames = torch.fft.irfft(spectrum, n=len(plan.window), norm="forward")
            part = padded[:, first * hop : (end - 1) * hop + len(plan.window)]
            part += overlap_add(frames, plan.window, hop)
        signal = padded[:, plan.convention.left_padding :]
        return fit_length(signal, plan.n_samples) * plan.inverse_sumsquare

    def _independent(self, first: int, end: int) -> Tensor:
        """Return the spectrum of frames whose phase does not depend on the magnitude."""
        magnitude = self.magnitude_of(first, end)
        if self.init == "zero":
            return torch.complex(magnitude, torch.zeros_like(magnitude))
        dtype, device = magnitude.dtype, magnitude.device
        n_freqs = magnitude.shape[-1]
        phasors = random_phasors(self.seed, end - first, n_freqs, dtype, device, first)
        return phasors * magnitude

    def _estimated(self, first: int, end: int, last: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the spectrum of a piece and the angles of its last frame.

        `last` are the angles of the frame before the piece, (items, 1, n_freqs).
        """
        start, stop = max(0, first - _CONTEXT), min(self.plan.n_frames, end + _CONTEXT)
        magnitude, peak = self.magnitude_of(start, stop), self.peak
        measured = magnitude
        if self.channels:
            peak = self.peak.amax().reshape(1, 1, 1)
            measured = safe_divide(magnitude, peak).square().sum(0, keepdim=True).sqrt()
            peak = torch.ones_like(peak)
        convention = self.plan.convention
        angles = pghi(measured, convention, self.seed, True, peak=peak, first_frame=start)
        if last is not None:
            before = slice(first - start - 1, first - start)
            behind = torch.polar(measured[:, before].square(), last - angles[:, before])
            angles = angles + behind.sum(-1, keepdim=True).angle()
        angles = angles[:, first - start : end - start]
        magnitude = magnitude[:, first - start : end - start]
        spectrum = torch.complex(magnitude * angles.cos(), magnitude * angles.sin())
        return spectrum, angles[:, -1:]


def can_invert(method: PhaseMethod, init: str, n_iter: int) -> bool:
    """Return whether a method can invert long items in pieces."""
    if not isinstance(method, MelConsistent) or init not in INITS:
        return False
    if len(method.full_rate.stages(max(1, n_iter))) > 1:
        return False
    return method.init_from_signal(torch.zeros(1, 1)) is not None


class LongMel(NamedTuple):
    """One long item, or the channels of one long recording.

    Args:
        values: Linear mel (channels, n_mels, n_frames).
        magnitude_of: Returns the magnitude (channels, n_freqs, end − first) of frames.
        envelope_of: Returns a smooth envelope of its power-th power for a part of the mel.
        filterbank: The mel filterbank.
        convention: The convention of the mel.
    """

    values: Tensor
    magnitude_of: Callable[[int, int], Tensor]
    envelope_of: Callable[[Tensor], Tensor]
    filterbank: MelFilterbank
    convention: MelConvention

    def peak(self) -> Tensor:
        """Return the peak of the smooth envelope, near that of the magnitude, (channels, 1, 1)."""
        n_frames = self.values.shape[-1]
        peak = self.values.new_zeros(len(self.values), 1, 1)
        for first, end in ranges(n_frames, max(1, _PIECE_SAMPLES // self.convention.n_fft)):
            envelope = self.envelope_of(self.values[..., first:end])
            peak = torch.maximum(peak, envelope.amax((-2, -1), keepdim=True))
        return safe_pow(peak, 1 / self.convention.power)


def invert_pieces(
    method: PhaseMethod,
    mel: LongMel,
    plan: STFTPlan,
    n_iter: int,
    *,
    init: str,
    seed: int,
    tolerance: float | None,
) -> Tensor:
    """Find the signals of a long mel.

    Args:
        method: A method that `can_invert` accepts.
        mel: The mel.
        plan: The plan of all frames.
        n_iter: Number of iterations.
        init: One of `INITS`.
        seed: Seed of the random initial phase.
        tolerance: Relative change of an iteration at which a channel stops.

    Returns:
        Signals (channels, samples).
    """
    peak = mel.peak()
    exponent = peak.clamp(min=torch.finfo(peak.dtype).tiny).log2().floor()
    scale = torch.where(peak > 0, exponent.exp2(), 1)

    def magnitude_of(first: int, end: int) -> Tensor:
        return mel.magnitude_of(first, end).mT / scale

    initial = InitialPhase(plan, magnitude_of, peak / scale, init, seed, len(peak) > 1)
    signal = initial.signal(mel.values.amax((0, 1)))
    root = scale ** (mel.convention.power / 2)
    values = frames_first(mel.values) / root / root
    data = MelData(values, scale, mel.filterbank, mel.convention)
    stage, count = cast(MelConsistent, method).full_rate.stages(n_iter)[0]
    target = cast(MelConsistent, stage).make_target(values, data)
    problem = BlockwiseProblem(target, plan)
    state = stage.init_from_signal(signal)
    del signal
    step = functools.partial(stage.step, problem)
    result = iterate(
        step,
        state,
        count,
        change=relative_change,
        tolerance=tolerance,
        safeguard=stage.safeguard,
    )
    return stage.signal(problem, result.state) * scale[:, 0]
