"""The phase problem of a signal at a fraction of its sampling rate.

Let x_D be the signal at 1/D of its rate, without what lies above half of that rate. Its STFT with
n_fft, hop, window and padding divided by D has the lowest n_fft / (2 D) bins of the STFT of x,
divided by D. So the mel bands that lie within these bins make the same problem D times smaller.
"""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.frame_weights import frame_weights
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.transforms.stft_plan import ragged_plan, stft_plan
from torchmelinv.transforms.window import window_table


@functools.lru_cache(maxsize=64)
@outside_inference_mode
def coarse_convention(convention: STFTConvention, divisor: int) -> STFTConvention | None:
    """Return the STFT at 1 / divisor of the rate, or None if its sizes are not divisible."""
    window_start = convention.n_fft - convention.win_length
    window_start = 0 if convention.window_align == "left" else window_start // 2
    sizes = (convention.hop_length, convention.win_length, convention.left_padding, window_start)
    if convention.n_fft % (2 * divisor) or any(size % divisor for size in sizes):
        return None
    window = window_table(convention)[window_start:][: convention.win_length : divisor]
    return dataclasses.replace(
        convention,
        n_fft=convention.n_fft // divisor,
        hop_length=convention.hop_length // divisor,
        win_length=convention.win_length // divisor,
        window=tuple(window.tolist()),
        window_normalized=False,
    )


def coarse_problem(problem: PhaseProblem, divisor: int) -> PhaseProblem | None:
    """Return the problem of the signals at 1 / divisor of their rate, with weights of frames.

    None if the sizes of the STFT are not divisible, or hardly any bands are left.
    """
    plan, target = problem.plan, problem.target
    convention = coarse_convention(plan.convention, divisor)
    if convention is None or not isinstance(target, MelTarget):
        return None
    coarse = target.coarse(divisor, convention.n_freqs)
    if coarse.tables.inner_center < 2:
        return None
    n_samples = -(-plan.n_samples // divisor)
    dtype, device = plan.window.dtype, plan.window.device
    smaller = stft_plan(convention, plan.n_frames, n_samples, dtype, device)
    if plan.frame_mask is not None and plan.n_valid is not None:
        frame_counts = plan.frame_mask[..., 0].sum(-1)
        sample_counts = torch.div(plan.n_valid + divisor - 1, divisor, rounding_mode="floor")
        smaller = ragged_plan(frame_counts, sample_counts, smaller)
    return PhaseProblem(coarse, smaller, problem.n_channels, frame_weights(coarse, smaller))


def refined(problem: PhaseProblem, divisor: int, spectrum: Tensor, signal: Tensor) -> Tensor:
    """Return the spectrum with the lowest bins of a signal at 1 / divisor of the rate.

    These are the bins below the center of the last band but one. Those of the last band, whose
    other half is left out, would become a tone at the seam.
    """
    assert isinstance(problem.target, MelTarget)
    end = problem.target.tables.inner_center
    found = problem.plan.masked(problem.plan.forward(signal))[..., :end]
    return torch.cat([divisor * found, spectrum[..., end:]], -1)
