"""From a magnitude to a waveform by any phase method: the steps shared by all methods.

Batches, scale, initial phase, items of different length, gradient modes and diagnostics are handled
here; a method defines its iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.batching import frames_first, length_mask, map_batch
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.tracing import refuse_transforms
from torchmelinv._utils.validation import (
    Length,
    as_length,
    check_channels,
    check_features,
    check_lengths,
    check_options,
    check_real,
)
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.phase.initial_phase import (
    check_angles,
    copy_phase,
    init_spectrum,
    shared_angles,
)
from torchmelinv.phase.iterate_stages import Loop, iterate_stages
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem
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


class _Inputs(NamedTuple):
    """The inputs with one item dimension and frames before bins; one entry per item."""

    magnitude: Tensor  # (items, frames, n_freqs)
    frame_counts: Tensor | None  # (items,)
    sample_counts: Tensor | None  # (items,)
    angles: Tensor | None  # given initial angles, (items, frames, n_freqs)
    init_signal: Tensor | None  # the signal whose phase is the initial one, (items, samples)
    mel: Tensor | None  # (items, frames, n_mels)


def _prepare(
    magnitude: Tensor,
    stft: STFT,
    lengths: Any,
    given_length: Length | None,
    init: str | Tensor,
    seed: int,
    init_waveform: Tensor | None,
    mel: LinearMel | None,
    channels: bool,
) -> tuple[_Inputs, int, int | Tensor | None]:
    """Check the inputs; return them, the number of samples to iterate on, and the length."""
    convention = stft.convention
    magnitude = check_features(magnitude, "magnitude", convention.n_freqs)
    if channels:
        check_channels(magnitude)
    items, n_frames = magnitude.shape[:-2], magnitude.shape[-1]
    length = as_length(given_length, items)
    # If as many samples have other frames than these, iterate on the default number of samples; the
    # waveform is trimmed or zero-padded in the end.
    n_samples = stft.default_length(n_frames)
    if isinstance(length, Tensor):
        n_samples = max(n_samples, int(length.max()))
    elif length is not None and convention.n_frames(length) == n_frames:
        n_samples = length
    rows = frames_first(magnitude)
    frame_counts = sample_counts = angles = init_signal = None
    if lengths is not None:
        frame_counts = check_lengths(lengths, items, n_frames, rows.device).reshape(-1)
    if isinstance(length, Tensor):
        length = length.reshape(-1)
        if frame_counts is None:
            frame_counts = torch.full_like(length, n_frames, device=rows.device)
        check_held(stft, length, frame_counts)
    if frame_counts is not None:
        wanted = length.to(rows.device) if isinstance(length, Tensor) else length
        sample_counts = stft.valid_length(frame_counts, n_samples, wanted)
    if isinstance(init, Tensor):
        angles = check_angles(init, magnitude).expand(magnitude.shape)
        angles = angles.reshape(-1, *magnitude.shape[-2:]).mT
    elif channels and init_waveform is None:
        masked = rows
        if frame_counts is not None:
            masked = torch.where(length_mask(frame_counts, n_frames)[..., None], rows, 0)
        angles = shared_angles(init, seed, masked, items[-1], convention, mel is not None)
    if init_waveform is not None:
        if init_waveform.shape[:-1] != items or init_waveform.shape[-1] == 0:
            allowed = ", ".join([*map(str, items), "n_samples ≥ 1"])
            shape = tuple(init_waveform.shape)
            raise InputError(f"init_waveform has shape {shape}; it must be ({allowed})")
        init_signal = check_real(init_waveform, "init_waveform").to(rows.dtype)
        init_signal = init_signal.reshape(-1, init_waveform.shape[-1])
        # The iteration sees signals before de-emphasis.
        init_signal = init_signal - convention.pre_emphasis * pad(init_signal, (1, 0))[:, :-1]
        missing = max(0, n_samples - init_signal.shape[-1])
        init_signal = pad(init_signal, (0, missing))[:, :n_samples]
        if sample_counts is not None:
            init_signal = torch.where(length_mask(sample_counts, n_samples), init_signal, 0)
    values = None if mel is None else frames_first(mel.values)
    inputs = _Inputs(rows, frame_counts, sample_counts, angles, init_signal, values)
    return inputs, n_samples, length


def check_held(stft: STFT, length: Tensor, frame_counts: Tensor) -> None:
    """Refuse more samples than the frames of an item hold, (items,); accelerators are not read."""
    if frame_counts.device.type != "cpu":
        return
    too_long = (stft.frame_counts(length) > frame_counts).nonzero()
    if len(too_long):
        item = int(too_long[0])
        n_frames = int(frame_counts[item])
        raise InputError(
            f"length is {int(length[item])} for item {item}, whose {n_frames} frames hold at most "
            f"{stft.convention.min_samples(n_frames + 1) - 1} samples; does it have the items in "
            "the same order as lengths?"
        )


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
    inputs, n_samples, output_length = _prepare(
        magnitude, stft, lengths, length, init, seed, init_waveform, mel, channels
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


def _finish(signal: Tensor, inputs: _Inputs, stft: STFT, length: int | Tensor | None) -> Tensor:
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
