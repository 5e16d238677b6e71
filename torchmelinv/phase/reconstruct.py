"""From a magnitude to a waveform by any phase method: the steps shared by all methods.

Batches, scale, initial phase, items of different length, gradient modes and diagnostics are handled
here, after the check of the inputs (`reconstruct_inputs.py`); a method defines its iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.batching import length_mask, map_batch
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.tracing import refuse_transforms
from torchmelinv._utils.validation import Length, check_options
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.phase.initial_phase import copy_phase, init_spectrum
from torchmelinv.phase.iterate_stages import Loop, iterate_stages
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.reconstruct_inputs import Inputs, prepare_inputs
from torchmelinv.phase.target import MelData
from torchmelinv.solvers.iterate import Solution, check_gradient
from torchmelinv.transforms.emphasis import de_emphasize
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.stft_plan import fit_length, ragged_plan


class LinearMel(NamedTuple):
    """A linear mel spectrogram, for methods that hold the signal to it."""

    values: Tensor  # (…, n_mels, n_frames)
    filterbank: MelFilterbank
    convention: MelConvention


@full_precision
def reconstruct(
    method: PhaseMethod,
    magnitude: Tensor,
    stft: STFT,
    n_iter: int = 32,
    *,
    init: str | Tensor = "pghi",
    seed: int = 0,
    lengths: Tensor | None = None,
    length: Length | None = None,
    init_waveform: Tensor | None = None,
    tolerance: float | None = None,
    gradient: str | int = "unrolled",
    return_info: bool = False,
    keep_best: bool = False,
    hook: Callable[[int, Any], None] | None = None,
    mel: LinearMel | None = None,
    channels: bool = False,
) -> Solution:
    """Find the waveform of a magnitude by a phase method.

    Args:
        method: The phase method.
        magnitude: Magnitude |STFT| (…, n_freqs, n_frames).
        stft: The STFT that the magnitude belongs to.
        n_iter: Number of iterations.
        init: Name of an initial phase, or angles in radians like the magnitude.
        seed: Seed of the random initial phase.
        lengths: Frames of each item of a padded batch, (…).
        length: Number of output samples, or samples of each item, (…).
        init_waveform: Waveform (…, n_samples) whose phase replaces `init`.
        tolerance: Relative change of an iteration at which an item stops.
        gradient: How gradients pass through the iterations, as in `MelInverter`.
        return_info: Fill all fields of the solution, at the cost of one STFT per iteration.
        keep_best: Return the iterate with the smallest residual.
        hook: Called with the iteration and the state after each iteration; states are those of
            items divided by a power of two near their peak.
        mel: The linear mel spectrogram that the magnitude was found for.
        channels: The dimension before the last two has the channels of one recording, which share
            the initial phase.

    Returns:
        The solution. Without `return_info`, only its waveform is meaningful.

    Raises:
        InputError: If a shape, dtype or option does not fit.
    """
    loop = Loop(n_iter, tolerance, check_gradient(gradient), return_info, keep_best, hook)
    refuse_transforms("phase methods", "use MelInverter, or batches and torch.autograd")
    check_options(n_iter, seed, length, tolerance)
    first_stage = method.stages(n_iter)[0][0]
    if n_iter and not first_stage.uses_initial_phase:
        given = "init_waveform" if init_waveform is not None else "init (angles)"
        if init_waveform is not None or isinstance(init, Tensor):
            raise InputError(f"{given} has no effect on {method!r}, which finds its own phases")
    mel_values = None if mel is None else mel.values
    inputs, n_samples, output_length = prepare_inputs(
        magnitude, stft, lengths, length, init, seed, init_waveform, mel_values, channels
    )
    # A method that finds its own phases links the channels itself, in one batch.
    linked = channels and n_iter > 0 and not first_stage.uses_initial_phase
    n_channels = magnitude.shape[-3] if linked else 1
    whole_plan = stft.plan(inputs.magnitude.shape[1], n_samples, inputs.magnitude)

    def solve(*tensors: Any) -> tuple[Tensor, ...]:
        rows, frame_counts, sample_counts, angles, init_signal, mel_rows = tensors
        plan = whole_plan
        if frame_counts is not None:
            plan = ragged_plan(frame_counts, sample_counts, plan)
            rows = plan.masked(rows)
        # A power of two near the peak: exact to divide by, and squares of quiet magnitudes do not
        # underflow.
        peak = rows.detach().amax((-2, -1), keepdim=True)
        exponent = peak.clamp(min=torch.finfo(peak.dtype).tiny).log2().floor()
        scale = torch.where(peak > 0, exponent.exp2(), 1)
        rows = rows / scale
        mel_data = None
        if mel is not None:
            # In two steps: the power of a small scale may be 0.
            root = scale ** (mel.convention.power / 2)
            values = plan.masked(mel_rows / root / root)
            mel_data = MelData(values, scale, mel.filterbank, mel.convention)
        if init_signal is None:
            phase = init if angles is None else angles
            spectrum = init_spectrum(phase, seed, rows, stft.convention, mel is not None)
        else:
            spectrum = copy_phase(plan.forward(init_signal), rows)

        def make_problem(stage: PhaseMethod) -> PhaseProblem:
            return stage.make_problem(stage.make_target(rows, mel_data), plan, n_channels)

        signal, *info = iterate_stages(method, make_problem, spectrum, loop)
        return signal * scale[:, 0], *info

    signal, *info = solve(*inputs) if hook or linked else map_batch(solve, *inputs)
    waveform = _finish(signal, inputs, stft, output_length)
    items = magnitude.shape[:-2]
    waveform = waveform.reshape(*items, waveform.shape[-1])
    if not return_info:
        return Solution(waveform, *[waveform.new_zeros(0)] * 4)
    info = [each.reshape((*items, *each.shape[1:])) for each in info]
    n_iterations, residual, converged, history = info
    return Solution(waveform, n_iterations, residual, converged, history.movedim(-1, 0))


def _finish(signal: Tensor, inputs: Inputs, stft: STFT, length: int | Tensor | None) -> Tensor:
    """Return waveforms (items, n_samples): de-emphasized, and 0 after each item's end."""
    convention = stft.convention
    waveform = de_emphasize(signal, convention.pre_emphasis)
    n_samples = convention.n_samples(inputs.magnitude.shape[1])
    if length is not None:
        n_samples = int(length.max()) if isinstance(length, Tensor) else length
    waveform = fit_length(waveform, n_samples)
    if inputs.frame_counts is None or inputs.sample_counts is None:
        return waveform
    valid = inputs.sample_counts
    if length is None:
        valid = torch.minimum(valid, stft.sample_counts(inputs.frame_counts))
    elif isinstance(length, Tensor):
        valid = torch.minimum(valid, length.to(valid.device))
    return torch.where(length_mask(valid, n_samples), waveform, 0)
