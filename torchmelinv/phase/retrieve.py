"""From magnitude to waveform by any phase method: what all of them need and none of them should repeat.

Leading dimensions, frames before bins, scale, start, items of different length, gradient mode and the account are seen to
here; a method brings only its step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame, de_emphasise, ragged_plan
from torchmelinv.iterate import Solution, check_gradient
from torchmelinv.ops.checks import as_lengths, as_real, as_rows, check_options
from torchmelinv.ops.items import leading, over_items
from torchmelinv.ops.precision import full_precision
from torchmelinv.phase.method import MagnitudeTarget, PhaseMethod, PhaseProblem, Target
from torchmelinv.phase.run import Loop, run
from torchmelinv.phase.start import borrow_phase, check_angles, start_spectrum


class Wanted(NamedTuple):
    """What the signal's spectrum shall have instead of the magnitude, which then only starts the iteration."""

    values: Tensor  # (…, rows, n_frames)
    power: float  # c · signal has c ** power · values
    target: Callable[[Tensor, Tensor], Target]  # values (items, frames, rows) of magnitude / scale, scale (items, 1, 1) -> target


class _Request(NamedTuple):
    """What was asked for, items flattened and frames before bins; one entry an item."""

    rows: Tensor  # magnitude, (items, frames, n_freqs)
    counts: Tensor | None  # frames of each item, (items,)
    samples: Tensor | None  # samples of each item, (items,)
    angles: Tensor | None  # where the start is given by angles, (items, frames, n_freqs)
    lent: Tensor | None  # the signal that lends its phase, (items, samples)
    values: Tensor | None  # of `Wanted`, (items, frames, rows)


def _request(
    magnitude: Tensor,
    frame: Frame,
    lengths: Any,
    length: int | None,
    start: str | Tensor,
    start_waveform: Tensor | None,
    wanted: Wanted | None,
) -> tuple[_Request, int]:
    """The request, checked, and the number of samples to iterate on."""
    convention = frame.convention
    magnitude = as_rows(magnitude, "magnitude", convention.n_freqs)
    items, n_frames = magnitude.shape[:-2], magnitude.shape[-1]
    asked = convention.n_samples(n_frames) if length is None else length
    # The samples asked for where they are seen as just these frames; otherwise the natural ones, cut or filled in the end.
    fits = convention.n_frames(asked) == n_frames
    n_samples = asked if fits else frame.natural_samples(n_frames)
    rows = magnitude.reshape(-1, *magnitude.shape[-2:]).mT.contiguous()
    counts = samples = angles = lent = None
    if lengths is not None:
        counts = as_lengths(lengths, items, n_frames, rows.device).reshape(-1)
        samples = frame.own_samples(counts, n_samples, length)
    if isinstance(start, Tensor):
        angles = check_angles(start, magnitude).expand(magnitude.shape).reshape(-1, *magnitude.shape[-2:]).mT
    if start_waveform is not None:
        if start_waveform.shape[:-1] != items or start_waveform.shape[-1] == 0:
            allowed = ", ".join([*map(str, items), "n_samples ≥ 1"])
            raise InputError(f"start_waveform has shape {tuple(start_waveform.shape)}; it must be ({allowed})")
        lent = as_real(start_waveform, "start_waveform").to(rows.dtype).reshape(-1, start_waveform.shape[-1])
        lent = lent - convention.pre_emphasis * pad(lent, (1, 0))[:, :-1]  # the iteration lives before de-emphasis
        lent = pad(lent, (0, max(0, n_samples - lent.shape[-1])))[:, :n_samples]
    values = None if wanted is None else wanted.values.reshape(-1, *wanted.values.shape[-2:]).mT.contiguous()
    return _Request(rows, counts, samples, angles, lent, values), n_samples


@full_precision
def retrieve(
    method: PhaseMethod,
    magnitude: Tensor,
    frame: Frame | FrameConvention,
    n_iter: int = 32,
    *,
    start: str | Tensor = "random",
    seed: int = 0,
    lengths: Tensor | None = None,
    length: int | None = None,
    start_waveform: Tensor | None = None,
    tolerance: float | None = None,
    gradient: str | int = "unrolled",
    account: bool = False,
    keep_best: bool = False,
    hook: Callable[[int, Any], None] | None = None,
    wanted: Wanted | None = None,
) -> Solution:
    """Magnitude (…, n_freqs, n_frames) -> waveform (…, n_samples), with its account where `account` asks for it.

    `lengths` (…): frames of each item of a padded batch; each is padded at its own end and zero after it. `length`: samples
    wanted, by default what the convention says. `start`: a name of `STARTS`, or angles in radians like the magnitude.
    `start_waveform` (…, any number of samples; cut, or filled with zeros) lends its phase instead. An item stops when an
    iteration moves its waveform (its spectrum, in methods that iterate on spectra) by at most `tolerance` of its norm. The
    residual is ‖|STFT(x)| − A‖ / ‖A‖; keeping it after every iteration costs one more analysis each. Without `account`, all but
    the waveform is empty. `hook` sees the state in the loop's own units: each item scaled by a power of two. `wanted` takes the
    magnitude's place in the iteration and in the residual; the magnitude is then only where it starts.
    """
    frame = frame if isinstance(frame, Frame) else Frame(frame)
    loop = Loop(n_iter, tolerance, check_gradient(gradient), account, keep_best, hook)
    check_options(n_iter, seed, length, tolerance)
    request, n_samples = _request(magnitude, frame, lengths, length, start, start_waveform, wanted)
    plan = frame.plan(request.rows.shape[1], n_samples, request.rows)

    def one(*parts: Any) -> tuple[Tensor, ...]:
        rows, counts, samples, angles, lent, values = parts
        here = plan
        if counts is not None:
            here = ragged_plan(counts, samples, plan)
            rows = here.masked(rows)
        # A power of two near the peak: exact to multiply by, and it keeps squares of quiet magnitudes from underflowing.
        peak = rows.detach().amax((-2, -1), keepdim=True)
        scale = torch.where(peak > 0, peak.clamp(min=torch.finfo(peak.dtype).tiny).log2().floor().exp2(), 1)
        rows = rows / scale
        target: Target = MagnitudeTarget(rows)
        if wanted is not None:
            root = scale ** (wanted.power / 2)  # in two steps: the power of a small scale may be 0
            target = wanted.target(here.masked(values / root / root), scale)
        if lent is None:
            spectrum = start_spectrum(start if angles is None else angles, seed, rows, frame.convention)
        else:
            spectrum = borrow_phase(here.analyse(lent), rows)
        signal, *results = run(method, PhaseProblem(target, here), spectrum, loop)
        return signal * scale[:, 0], *results

    signal, *results = one(*request) if hook else over_items(one, *request)
    waveform = _finish(signal, request, frame, length)
    items = magnitude.shape[:-2]
    waveform = waveform.reshape(*items, waveform.shape[-1])
    steps, residual, converged, history = results or (waveform.new_zeros(0),) * 4
    if account:
        steps, residual, converged, history = (each.reshape((*items, *each.shape[1:])) for each in results)
        history = history.movedim(-1, 0)
    return Solution(waveform, steps, residual, converged, history)


def _finish(signal: Tensor, request: _Request, frame: Frame, length: int | None) -> Tensor:
    """De-emphasised, as long as asked for, and zero after each item's own end: (items, samples) -> (items, n_samples)."""
    convention = frame.convention
    waveform = de_emphasise(signal, convention.pre_emphasis)
    asked = convention.n_samples(request.rows.shape[1]) if length is None else length
    waveform = pad(waveform, (0, max(0, asked - waveform.shape[-1])))[:, :asked]
    if request.counts is None or request.samples is None:
        return waveform
    ends = request.samples
    if length is None:
        ends = torch.minimum(ends, frame.sample_counts(request.counts))
    return torch.where(leading(ends, asked), waveform, 0)
