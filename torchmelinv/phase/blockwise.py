"""Iterations on signals without a whole spectrum: frames are transformed block by block.

The spectrum of an hour has 160 million bins, and an inversion holds some twenty of it; its signal
is six times smaller. A block starts as many frames earlier as overlap its first one, so that each
sample is the sum of the same numbers in the same order as from all frames at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.batching import ranges
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.transforms.overlap_add import frame_signal, overlap_add
from torchmelinv.transforms.stft_plan import STFTPlan, fit_length

_BLOCK_SAMPLES = 2**21  # of all frames of a block


@dataclasses.dataclass(frozen=True, eq=False)
class BlockwiseProblem(PhaseProblem):
    """A mel-consistent problem whose projection goes over the frames in blocks."""

    target: MelTarget

    @property
    def kernel_args(self) -> None:
        """None: blocks are computed by torch."""

    def fused_step(self, *_: Any) -> None:
        return None

    def consistent_projection(self, signal: Tensor) -> Tensor:
        plan, target = self.plan, self.target
        hop, window = plan.convention.hop_length, plan.window
        padded = plan.pad(signal)

        def frames_of(first: int, end: int) -> Tensor:
            part = padded[:, first * hop : (end - 1) * hop + len(window)]
            spectrum = torch.fft.rfft(frame_signal(part, window, hop))
            return target.part(first, end).impose(spectrum)

        return inverse_in_blocks(plan, frames_of, signal)


def inverse_in_blocks(
    plan: STFTPlan, spectrum_of: Callable[[int, int], Tensor], like: Tensor
) -> Tensor:
    """Return the signal (items, n_samples) of a spectrum that is computed block by block.

    Args:
        plan: The plan of all frames.
        spectrum_of: Returns the spectrum (items, end − first, n_freqs) of the frames first to end.
        like: A tensor (items, …) of the signal's dtype and device.

    Returns:
        The signal, equal to that of `STFTPlan.inverse`.
    """
    convention, n_frames = plan.convention, plan.n_frames
    hop, n_fft, left = convention.hop_length, convention.n_fft, convention.left_padding
    overlap = -(-n_fft // hop) - 1  # frames that reach into the first hop of another one
    signal = like.new_zeros(len(like), plan.n_samples)
    for first, end in ranges(n_frames, max(4 * overlap, _BLOCK_SAMPLES // n_fft)):
        start = max(0, first - overlap)
        frames = torch.fft.irfft(spectrum_of(start, end), n=n_fft, norm="forward")
        added = overlap_add(frames, plan.window, hop)
        # From the first sample that no later frame of the block before reaches.
        stop = added.shape[-1] if end == n_frames else (end - start) * hop
        added = added[:, (first - start) * hop : stop]
        place = first * hop - left
        added = added[:, max(0, -place) :]
        place = max(0, place)
        added = fit_length(added, min(added.shape[-1], plan.n_samples - place))
        signal[:, place : place + added.shape[-1]] = added
    return signal.mul_(plan.inverse_sumsquare)
