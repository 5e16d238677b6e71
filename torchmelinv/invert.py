"""Mel spectrogram to waveform: decompression, filterbank inverse and phase method in one module."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask
from torchmelinv._utils.black_box import needs_operator
from torchmelinv._utils.method_names import InitName, RestorationName
from torchmelinv._utils.module import Module
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.tracing import constant_in_graphs
from torchmelinv._utils.validation import (
    Length,
    check_channels,
    check_finite,
    check_flag,
    check_lengths,
    check_options,
    has_values,
)
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.errors import InputError
from torchmelinv.invert_operator import invert_by_operator, register
from torchmelinv.magnitude import MagnitudeName, as_magnitude_inverse
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.phase import PhaseName, as_phase_method
from torchmelinv.phase.initial_phase import check_init
from torchmelinv.phase.long_batch import invert_long_batch
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.pieces import can_invert, is_long, memory_of
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.restoration.registry import as_restoration, restore_linear_mel
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.solvers.iterate import Gradient, Solution, check_gradient
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.dc_offset import restore_dc
from torchmelinv.transforms.mel_checks import check_mel_shape, check_mel_values
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import remove_offset
from torchmelinv.transforms.stft import STFT

__all__ = ["MelInverter"]


# Settings that each call reads, with the check of a new value.
_CHECKS: dict[str, Callable[[Any], object]] = {
    "n_iter": lambda value: check_options(value, 0, None, None),
    "init": check_init,
    "seed": lambda value: check_options(0, value, None, None),
    "tolerance": lambda value: check_options(0, 0, None, value),
    "gradient": check_gradient,
    "channels": functools.partial(check_flag, "channels"),
    "check": functools.partial(check_flag, "check"),
}
_FIXED = ("convention", "magnitude", "phase", "momentum", "restore", "stft", "filterbank")


class MelInverter(Module):
    """Invert mel spectrograms to waveforms, without a trained vocoder.

    The mel is decompressed, and sharpened if it was smoothed; `magnitude` finds an initial linear
    spectrogram for it, and `phase` finds the waveform. The phase methods ``"coarse_to_fine"``, the
    default, and ``"mel_consistent"`` hold the waveform to the mel itself; all others hold it to
    that magnitude.

    The module has no parameters and nothing to save. Its tables follow the mel's device and dtype;
    half precisions are computed in and returned as float32. An item's waveform depends neither on
    the other items nor on the padding. A mel c times as large (a linear magnitude mel) gives a
    waveform c times as large. A linear mel of zeros gives silence; a log mel at its floor gives a
    signal near that floor.

    `n_iter`, `init`, `seed`, `tolerance`, `gradient`, `channels` and `check` may be set later; the
    other options are read-only.

    Args:
        convention: How the mel was made: a `MelConvention`, a preset's name, or the path of a JSON
            file.
        magnitude: Inverse of the filterbank: ``"entropic"`` (minimum cross-entropy from a smooth
            envelope), ``"least_distance"``, ``"nnls"``, ``"pinv"`` or ``"transpose"``.
        phase: Phase method: ``"coarse_to_fine"``, ``"mel_consistent"``, ``"griffin_lim"``,
            ``"fast_griffin_lim"``, ``"accelerated_griffin_lim"``, ``"admm"``, ``"raar"``, ``"lws"``
            or ``"rtisi_la"``; or an object of `torchmelinv.phases` or of a subclass of
            `PhaseMethod`, such as ``ADMM(rho=0.3)``.
        n_iter: Number of iterations, at least 0. Those of ``"coarse_to_fine"`` at 1/D of the
            sampling rate count about 1/D, as they cost.
        init: Initial phase: ``"pghi"`` or ``"spsi"`` (estimated from the magnitude; that of
            ``"pghi"`` is random where the magnitude has no fine structure), ``"random"`` or
            ``"zero"``.
        seed: Seed of the random initial phase. The phase of a bin depends on seed, frame and bin
            alone.
        momentum: Momentum of a phase method that is given by name, from 0 to 1. Default: the
            method's own.
        tolerance: An item stops when an iteration changes its waveform (its spectrum, for methods
            that iterate on spectra) by at most this fraction of its norm: a change, not the
            residual. Default: do all iterations.
        gradient: How gradients pass through the iterations: ``"unrolled"``; ``"checkpointed"``, the
            same in less memory (no less with a `tolerance`); an integer k, through the last k of
            `n_iter` iterations, so an item that `tolerance` stopped before has no gradient;
            ``"phase_detached"``, through one projection at the phase that was found; ``"none"``.
            The initial phase counts as a constant: the gradient is exact for the start angles that
            were found. ``init="zero"`` has none, so there it is the derivative of the waveform.
            `metrics.gradient_norm` measures how large the gradient is.
        channels: The dimension before the mel's last two has the channels of one recording, such as
            stereo. They share the initial phase (not that of an `init_waveform`), so that channels
            that are alike stay correlated and do not cancel in a mono downmix. `lengths` still has
            one number for each of them. Many iterations loosen the correlation; a difference in
            sign is lost.
        restore: Restoration of mels that are smoother than those of sounds, as networks predict
            them, before the inversion: ``"auto"`` (as much as the mel was smoothed: the mel of a
            recording stays as it is; and nothing where a gradient with respect to the mel passes),
            ``"contrast"``, ``"unsharp_mask"``, ``"none"``, or an object of
            `torchmelinv.restoration`, such as ``Auto()``, with or without gradients. The waveform
            then has the restored mel, at the level of the given one.
        check: Check the values of each mel. Set False to skip this check, which waits for the
            device, may warn about half-trained models, and raises an error for the non-finite mels
            that a `GradScaler` would skip.

    Attributes:
        stft: The `STFT` of the convention.
        filterbank: The `MelFilterbank` of the convention.

    Raises:
        ConventionError: If there is no such convention.
        InputError: If an option has no such name or value.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(0.1 * torch.randn(2, 22050))
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> inverter(mel).shape
        torch.Size([2, 22016])
    """

    stft: STFT
    filterbank: MelFilterbank

    @named_options
    def __init__(
        self,
        convention: MelConvention | str | os.PathLike[str],
        magnitude: MagnitudeName = "entropic",
        phase: PhaseName | PhaseMethod = "coarse_to_fine",
        n_iter: int = 32,
        *,
        init: InitName = "pghi",
        seed: int = 0,
        momentum: float | None = None,
        tolerance: float | None = None,
        gradient: Gradient = "unrolled",
        channels: bool = False,
        restore: RestorationName | Restoration = "auto",
        check: bool = True,
    ) -> None:
        super().__init__()
        self._convention = as_convention(convention)
        self._magnitude, self._invert_filterbank = magnitude, as_magnitude_inverse(magnitude)
        self._phase, self._momentum = phase, momentum
        self._method = as_phase_method(phase, momentum)
        self._restore = restore
        fixed = (type(self), self._convention.to_dict(), magnitude, phase, momentum, restore)
        self._fixed = repr(fixed)  # tells one inverter from another in compiled graphs
        self._restoration = as_restoration(restore, self._convention)
        self.add_module("stft", STFT(self._convention))
        self.add_module("filterbank", MelFilterbank(self._convention))
        self.n_iter, self.init, self.seed, self.tolerance = n_iter, init, seed, tolerance
        self.gradient, self.channels, self.check = gradient, channels, check

    @property
    def convention(self) -> MelConvention:
        """The convention of the mels. Read-only."""
        return self._convention

    @property
    def magnitude(self) -> str:
        """The name of the filterbank inverse. Read-only."""
        return self._magnitude

    @property
    def phase(self) -> str | PhaseMethod:
        """The phase method as it was given. Read-only."""
        return self._phase

    @property
    def momentum(self) -> float | None:
        """The momentum as it was given. Read-only."""
        return self._momentum

    @property
    def restore(self) -> str | Restoration:
        """The restoration as it was given. Read-only."""
        return self._restore

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an option that each call reads; refuse read-only and misspelled ones.

        Args:
            name: The attribute.
            value: Its value.

        Raises:
            InputError: If an option has no such value.
            AttributeError: If the option is read-only, or its name is misspelled.
        """
        if name in _CHECKS:
            _CHECKS[name](value)
        elif name in _FIXED and not getattr(self, "_is_replica", False):
            # DataParallel sets the submodules of its replicas; nobody else replaces them.
            raise AttributeError(f"MelInverter.{name} is read-only; make another MelInverter")
        elif not name.startswith("_") and not hasattr(self, name):
            # Subclasses and tools add attributes of their own; names like an option are mistakes.
            close = difflib.get_close_matches(name, [*_CHECKS, *_FIXED], n=1, cutoff=0.7)
            if close:
                raise AttributeError(
                    f"MelInverter has no attribute {name!r}; did you mean {close[0]!r}?"
                )
        super().__setattr__(name, value)

    def extra_repr(self) -> str:
        names = ("magnitude", "restore", *_CHECKS)
        return f"phase={self._method}, " + ", ".join(
            f"{name}={getattr(self, name)!r}" for name in names
        )

    @named_options
    @full_precision
    def forward(
        self,
        mel: Tensor,
        *,
        lengths: Tensor | None = None,
        length: Length | None = None,
        init_waveform: Tensor | None = None,
    ) -> Tensor:
        """Invert mel spectrograms.

        Args:
            mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…). Later frames are ignored, and the
                waveform is 0 there.
            length: Number of output samples, or the samples of each item, (…), at most those that
                its frames hold: shorter waveforms are followed by zeros. Default:
                ``convention.n_samples(n_frames)``.
            init_waveform: Waveform (…, n_samples) whose phase initializes the iteration instead of
                `init`; trimmed or zero-padded.

        Returns:
            Waveform (…, length), of the longest item if `length` has several.

        Raises:
            InputError: If a shape, dtype, device or option does not fit, or the mel holds values
                that the convention cannot give.

        Warns:
            MelValueWarning: If the values look as if another convention had made them.

        Shape:
            - mel: (…, n_mels, n_frames)
            - lengths: (…)
            - init_waveform: (…, n_samples)
            - output: (…, length)
        """
        if needs_operator(mel):
            # Read here, one by one, so that a compiled graph depends on each of them.
            options = (self.n_iter, self.init, self.seed, self.tolerance)
            name = f"{self._fixed} {options} {self.gradient} {self.channels} {self.check}"
            return invert_by_operator(self, name, mel, lengths, length, init_waveform)
        return self._invert(mel, lengths, length, init_waveform).waveform

    @constant_in_graphs
    def _register(self, name: str) -> None:
        register(self, name)

    @named_options
    @full_precision
    def solve(
        self,
        mel: Tensor,
        *,
        lengths: Tensor | None = None,
        length: Length | None = None,
        init_waveform: Tensor | None = None,
        keep_best: bool = False,
        hook: Callable[[int, Any], None] | None = None,
    ) -> Solution:
        """Like `forward`, but return a `Solution` with diagnostics for each item.

        The residual is ‖|STFT(x)| − A‖ / ‖A‖ for the magnitude A that was found for the mel. For
        mel-consistent methods it is ‖Ms − m‖ / ‖m‖ for the restored linear mel m.

        Args:
            mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…).
            length: Number of output samples, or the samples of each item, (…). Default:
                ``convention.n_samples(n_frames)``.
            init_waveform: Waveform (…, n_samples) whose phase initializes the iteration.
            keep_best: Return the iterate with the smallest residual instead of the last one. With
                `Then`, stages are compared by the target of the last one.
            hook: Called with the iteration, from 0, and the method's state after each step (for
                RTISI-LA, the whole pass). With a hook, the whole batch iterates together on the CPU
                too.

        Returns:
            Waveform, iterations, residual, convergence, and the residual after each iteration.

        Raises:
            InputError: As in `forward`.
        """
        return self._invert(
            mel, lengths, length, init_waveform, return_info=True, keep_best=keep_best, hook=hook
        )

    @full_precision
    def to_magnitude(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Find a magnitude for the mel: the first half of the inversion.

        Args:
            mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…).

        Returns:
            Magnitude |STFT| (…, n_freqs, n_frames); 0 in padding frames.

        Raises:
            InputError: As in `forward`.
        """
        return self._to_magnitude(self.to_restored_mel(mel, lengths=lengths))

    @full_precision
    def to_linear_mel(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Check the mel and undo its compression.

        A value at the floor becomes the floor, not 0; lower values are extrapolated below it.

        Args:
            mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…).

        Returns:
            Linear mel spectrogram (…, n_mels, n_frames), at least 0; 0 in padding frames.

        Raises:
            InputError: As in `forward`.
        """
        mel = check_mel_shape(mel, self.convention)
        mask = None
        if lengths is not None:
            counts = check_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device)
            mask = frame_mask(counts, mel)
        if self.check and has_values(mel):
            check_mel_values(mel, self.convention, mask)
        return decompress(mel, self.convention.level, mask)

    @full_precision
    def to_restored_mel(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Return the linear mel that the waveform is to have: `to_linear_mel`, restored.

        Args:
            mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…).

        Returns:
            Linear mel spectrogram (…, n_mels, n_frames), at least 0; 0 in padding frames. Equal to
            that of `to_linear_mel` where nothing was restored.

        Raises:
            InputError: As in `forward`.
        """
        linear = self.to_linear_mel(mel, lengths=lengths)
        return self._restored(linear, lengths, linear.requires_grad and self.gradient != "none")

    def _restored(self, linear: Tensor, lengths: Tensor | None, trains: bool) -> Tensor:
        """Return a linear mel restored; `trains` says whether a gradient passes through it."""
        counts = None
        if lengths is not None:
            counts = check_lengths(lengths, linear.shape[:-2], linear.shape[-1], linear.device)
        # Training compares sounds with the mel as it is: a network must learn what it lacks.
        is_exact = trains and self.restore == "auto"
        restoration = None if is_exact else self._restoration
        return restore_linear_mel(restoration, linear, counts, self.convention)

    def _to_magnitude(self, linear_mel: Tensor, frames: slice = slice(None)) -> Tensor:
        spectrum = self._invert_filterbank(linear_mel[..., frames], self.filterbank)
        magnitude = remove_offset(spectrum, self.convention)
        return restore_dc(magnitude, linear_mel, self.convention, frames)

    def _envelope(self, linear_mel: Tensor) -> Tensor:
        return transpose(linear_mel, self.filterbank)

    def memory_of(self, n_frames: int, n_channels: int = 1) -> int:
        """Estimate the memory that the inversion of one mel takes, without gradients.

        Mels of some minutes and more are inverted in pieces if `phase` is mel-consistent with
        Griffin-Lim or one of its accelerations, and `init` not ``"spsi"``.

        Args:
            n_frames: Number of frames.
            n_channels: Number of channels.

        Returns:
            Bytes.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.MelInverter("hifigan_22k").memory_of(310_000) < 4e9  # an hour
            True
        """
        in_pieces = can_invert(self._method, self.init, self.n_iter)
        n_samples = self.convention.n_samples(n_frames) * n_channels
        return memory_of(self.convention, n_frames, n_samples if in_pieces else None)

    def _invert(
        self,
        mel: Tensor,
        lengths: Tensor | None,
        length: Length | None,
        init_waveform: Tensor | None,
        trains: bool | None = None,
        **diagnostics: Any,
    ) -> Solution:
        if isinstance(init_waveform, Tensor) and init_waveform.device != mel.device:
            raise InputError(
                f"init_waveform is on {init_waveform.device} and the mel on {mel.device}; "
                "move one of them"
            )
        check_options(self.n_iter, self.seed, length, self.tolerance)
        if self.channels:
            check_channels(mel)
        if self.check and isinstance(init_waveform, Tensor) and has_values(init_waveform):
            check_finite(init_waveform, "init_waveform")
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.gradient != "none"):
            linear_mel = self.to_linear_mel(mel, lengths=lengths)
            if trains is None:
                trains = linear_mel.requires_grad and torch.is_grad_enabled()
            linear_mel = self._restored(linear_mel, lengths, trains)
            target = LinearMel(linear_mel, self.filterbank, self.convention)
            options: dict[str, Any] = {
                "init": self.init,
                "seed": self.seed,
                "lengths": lengths,
                "length": length,
                "tolerance": self.tolerance,
                "channels": self.channels,
            }
            if (
                not diagnostics
                and init_waveform is None
                and not trains
                and has_values(linear_mel)
                and is_long(self.convention, linear_mel.shape[-1], linear_mel.device)
                and can_invert(self._method, self.init, self.n_iter)
            ):
                waveform = invert_long_batch(
                    self._method,
                    target,
                    self.stft,
                    self.n_iter,
                    magnitude_of=self._to_magnitude,
                    envelope_of=self._envelope,
                    **options,
                )
                return Solution(waveform, *[waveform.new_zeros(0)] * 4)
            return reconstruct(
                self._method,
                self._to_magnitude(linear_mel),
                self.stft,
                self.n_iter,
                init_waveform=init_waveform,
                gradient=self.gradient,
                mel=target,
                **options,
                **diagnostics,
            )
