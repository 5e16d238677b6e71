"""Mel to waveform: the path from a model's values through level, filterbank and phase, walked in one call."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.analysis import take_back_offset
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.door import check_shape, check_values
from torchmelinv.errors import InputError, nearest
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.interchange import as_mfcc_convention
from torchmelinv.iterate import Solution, check_gradient
from torchmelinv.joint.mel_consistent import USUAL_METHOD, MelConsistent
from torchmelinv.level import expand
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.magnitude.least_distance import least_distance
from torchmelinv.magnitude.nnls import nnls
from torchmelinv.magnitude.pinv import pinv
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.mfcc import mfcc_to_log_mel
from torchmelinv.ops.checks import as_lengths, check_options
from torchmelinv.ops.items import leading
from torchmelinv.ops.precision import full_precision
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.lws import Lws
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.raar import raar_then_fast_griffin_lim
from torchmelinv.phase.retrieve import retrieve
from torchmelinv.phase.rtisi import RtisiLa
from torchmelinv.phase.start import check_start
from torchmelinv.presets import as_convention

# name: (linear mel, filterbank) -> magnitude to the convention's power
MAGNITUDES: dict[str, Callable[[Tensor, MelFilterbank], Tensor]] = {
    "transpose": transpose,
    "pinv": pinv,
    "nnls": nnls,
    "least_distance": least_distance,
    "entropic": entropic,
}

# name: the method with its usual numbers; what takes a `momentum` has one
PHASES: dict[str, Callable[..., PhaseMethod | MelConsistent]] = {
    "griffin_lim": GriffinLim,
    "fast_griffin_lim": functools.partial(GriffinLim, momentum=0.99),
    "accelerated_griffin_lim": AcceleratedGriffinLim,
    "admm": Admm,
    "raar": raar_then_fast_griffin_lim,
    "lws": Lws,
    "rtisi_la": RtisiLa,
    "mel_consistent": lambda momentum=USUAL_METHOD.momentum: MelConsistent(dataclasses.replace(USUAL_METHOD, momentum=momentum)),
}


def _named(kind: str, name: str, table: dict[str, Any]) -> Any:
    if not isinstance(name, str) or name not in table:
        raise InputError(f"{kind} is {name!r}; it must be one of {', '.join(map(repr, table))}{nearest(str(name), table)}")
    return table[name]


def _method(phase: str | PhaseMethod | MelConsistent, momentum: float | None) -> PhaseMethod | MelConsistent:
    """The phase method by its name, or one that is given."""
    if isinstance(phase, (PhaseMethod, MelConsistent)):
        if momentum is not None:
            raise InputError(f"momentum is {momentum!r} beside {phase!r}, which has its own numbers; give it there")
        return phase
    factory = _named("phase", phase, PHASES)
    if momentum is None:
        return factory()
    if "momentum" not in inspect.signature(factory).parameters:
        raise InputError(f"momentum is {momentum!r}, but phase {phase!r} has none; leave it out")
    return factory(momentum=momentum)


class MelInverter(nn.Module):
    """Mel (…, n_mels, n_frames), as a model made it -> waveform (…, n_samples), without a trained vocoder.

    `convention`: a `MelConvention`, a preset's name or a JSON file: how the mel was made.
    `magnitude`: how the filterbank is undone, one of `MAGNITUDES`; `phase`: the iteration that finds the phase, one of
    `PHASES` or a method's record such as `Admm(softness=0.2)`, `n_iter` of it, with `momentum` (by default the method's own).
    `mel_consistent` keeps the mel instead of that magnitude, from which it starts. `start`: `zero`, `random` (a function of
    `seed`, frame and bin alone), `spsi` or `pghi` (read off the magnitude). `tolerance`: an item stops when an iteration moves
    its waveform (its spectrum, in methods that iterate on spectra) by at most this part of its norm.
    `gradient`: the way back through the iterations, `unrolled`, `checkpointed` (the same, in less memory; with a `tolerance` and
    in `solve` it is `unrolled`), `phase_detached` (exact for the magnitude, or for the last pull towards the mel, at the phase
    that was found: one projection more, which changes the waveform a little), `none`, or k, the last k of them; the angles of
    the start count as given.
    `check=False`: no look at values, for which a device has to wait, and no warnings of them.
    Shapes, options and values that do not fit are an `InputError`; values like another convention's are a `LevelWarning`.

    Invariants: inverter(c · mel) = c · waveform for linear magnitude mels and √c at power 2; an item's waveform depends
    neither on the batch nor on the padding; silence (linear zeros) gives exact silence, a preset's floor less than 0.006.
    Half precisions are computed in and returned as float32. Tables follow the mel's device and dtype: there is nothing to
    move and nothing to save. Under `torch.compile` the call runs as it is, between two graphs.
    """

    def __init__(
        self,
        convention: MelConvention | str,
        magnitude: str = "entropic",
        phase: str | PhaseMethod | MelConsistent = "mel_consistent",
        n_iter: int = 32,
        *,
        start: str = "pghi",
        seed: int = 0,
        momentum: float | None = None,
        tolerance: float | None = None,
        gradient: str | int = "unrolled",
        check: bool = True,
    ) -> None:
        super().__init__()
        self.convention = as_convention(convention)
        self.frame = Frame(self.convention)
        self.filterbank = MelFilterbank(self.convention)
        self._magnitude = _named("magnitude", magnitude, MAGNITUDES)
        self._phase = _method(phase, momentum)
        check_options(n_iter, seed, None, tolerance)
        self.magnitude, self.phase, self.n_iter = magnitude, phase, n_iter
        self.start, self.seed, self.tolerance = check_start(start), seed, tolerance
        self.gradient, self.check = check_gradient(gradient), check

    def extra_repr(self) -> str:
        names = ("magnitude", "n_iter", "start", "seed", "tolerance", "gradient")
        return f"phase={self._phase}, " + ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    @full_precision
    def forward(
        self,
        mel: Tensor,
        *,
        lengths: Tensor | None = None,
        length: int | None = None,
        start_waveform: Tensor | None = None,
    ) -> Tensor:
        """`lengths` (…): frames of each item of a padded batch; what stands after them is ignored and the waveform there is zero.
        `length`: samples wanted; by default `convention.n_samples(n_frames)`. `start_waveform` (…, any number of samples; cut, or
        filled with zeros) lends its phase.
        """
        return self._invert(mel, lengths, length, start_waveform).waveform

    @full_precision
    def solve(
        self,
        mel: Tensor,
        *,
        lengths: Tensor | None = None,
        length: int | None = None,
        start_waveform: Tensor | None = None,
        keep_best: bool = False,
        hook: Callable[[int, Any], None] | None = None,
    ) -> Solution:
        """`forward` with its account: waveform, and for each item steps, residual, convergence and history.

        The residual is ‖|STFT(x)| − A‖ / ‖A‖ against the magnitude A that was found for the mel; with `mel_consistent` it is
        ‖Ms − m‖ / ‖m‖ against the linear mel m. History (n_iter, …) holds it after every iteration, constant once an item has
        stopped. `keep_best` returns the iterate where it was least.
        `hook(iteration, state)` is called after each iteration; with one, the whole batch iterates together on the CPU too.
        """
        return self._invert(mel, lengths, length, start_waveform, account=True, keep_best=keep_best, hook=hook)

    @full_precision
    def to_magnitude(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """The first half of the way: mel -> magnitude |STFT| (…, n_freqs, n_frames), zero in frames after an item's own."""
        return self._to_magnitude(self.to_linear(mel, lengths=lengths))

    @full_precision
    def to_linear(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """The first step: mel, looked at -> without its level, same shape, at least 0, and 0 in frames after an item's own."""
        mel = check_shape(mel, self.convention)
        frames = None
        if lengths is not None:
            counts = as_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
            frames = leading(counts, mel.shape[-1])[..., None, :]
        if self.check and not (mel.device.type == "cuda" and torch.cuda.is_current_stream_capturing()):
            check_values(mel, self.convention, frames)
        if frames is not None:
            mel = torch.where(frames, mel, 0)
        linear = expand(mel, self.convention.level)
        return linear if frames is None else torch.where(frames, linear, 0)

    def _to_magnitude(self, linear: Tensor) -> Tensor:
        return take_back_offset(self._magnitude(linear, self.filterbank), self.convention)

    def _invert(
        self, mel: Tensor, lengths: Tensor | None, length: int | None, start_waveform: Tensor | None, **account: Any
    ) -> Solution:
        if isinstance(start_waveform, Tensor) and start_waveform.device != mel.device:
            raise InputError(f"start_waveform is on {start_waveform.device} and the mel on {mel.device}; move one of them")
        check_options(self.n_iter, self.seed, length, self.tolerance)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.gradient != "none"):
            linear = self.to_linear(mel, lengths=lengths)
            wanted = None
            if isinstance(self._phase, MelConsistent):
                method, wanted = self._phase.method, self._phase.wanted(linear, self.filterbank, self.convention)
            else:
                method = self._phase
            return retrieve(
                method,
                self._to_magnitude(linear),
                self.frame,
                self.n_iter,
                start=self.start,
                seed=self.seed,
                lengths=lengths,
                length=length,
                start_waveform=start_waveform,
                tolerance=self.tolerance,
                gradient=self.gradient,
                wanted=wanted,
                **account,
            )


def mel_to_waveform(
    mel: Tensor,
    convention: MelConvention | str,
    *,
    lengths: Tensor | None = None,
    length: int | None = None,
    start_waveform: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Mel (…, n_mels, n_frames) -> waveform (…, n_samples) in one call; `options` are those of `MelInverter`."""
    return MelInverter(convention, **options)(mel, lengths=lengths, length=length, start_waveform=start_waveform)


def mfcc_to_waveform(mfcc: Tensor, convention: MfccConvention | str | os.PathLike[str], **options: Any) -> Tensor:
    """MFCCs (…, n_mfcc, n_frames) -> waveform (…, n_samples) of the smooth mel that they have; `options` of `mel_to_waveform`."""
    convention = as_mfcc_convention(convention)
    return mel_to_waveform(mfcc_to_log_mel(mfcc, convention), convention.mel, **options)
