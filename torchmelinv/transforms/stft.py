"""The short-time Fourier transform of a convention and its inverse.

Analysis and inversion share one `STFT`, so that they cannot disagree. Equations: `stft_plan.py`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.batching import length_mask, ranges
from torchmelinv._utils.module import Module
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.table_cache import GraphTable
from torchmelinv._utils.tracing import is_traced
from torchmelinv._utils.validation import check_features, check_length, check_lengths, check_real
from torchmelinv.conventions import STFTConvention
from torchmelinv.conventions.presets import as_stft_convention
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.transforms.emphasis import de_emphasize
from torchmelinv.transforms.overlap_add import frame_signal
from torchmelinv.transforms.stft_plan import (
    STFTPlan,
    make_stft_plan,
    ragged_plan,
    stft_plan,
    traced_stft_plan,
)
from torchmelinv.transforms.window import window_table

__all__ = ["STFT"]

_BLOCK_SAMPLES = 2**22  # of all frames of a block

Count = TypeVar("Count", int, Tensor)  # one number, or one per item


@functools.lru_cache(maxsize=64)
def _graph_window(convention: STFTConvention) -> GraphTable:
    """Return the window that traced graphs of all modules of a convention share."""
    return GraphTable(functools.partial(window_table, convention))


class STFT(Module):
    """Compute the complex spectrum of a waveform, and the waveform of a complex spectrum.

    ``stft.inverse(stft(x), len(x))`` is x wherever frames reach and the sum of squared windows
    exceeds 1 % of its maximum, to 1e-5 of the peak in float32. Pre-emphasis is undone; the DC that
    `remove_dc` takes from each frame is lost.

    Both directions are linear and differentiable and never wait for the device. The module has no
    parameters. Its tables follow the input's device and dtype; half precisions are computed in and
    returned as float32.

    Args:
        convention: An `STFTConvention`, a `MelConvention`, a preset's name, or the path of a JSON
            file.

    Attributes:
        convention: The `STFTConvention`, without the fields that a mel convention adds.

    Raises:
        ConventionError: If there is no such convention.

    References:
        D. Griffin and J. Lim, "Signal estimation from modified short-time Fourier transform", IEEE
        Trans. ASSP 32(2), 1984, eq. 6 (the inverse).

    Example:
        >>> import torch, torchmelinv as tmi
        >>> stft = tmi.STFT("hifigan_22k")
        >>> waveform = torch.randn(2, 22050)
        >>> spectrum = stft(waveform)
        >>> spectrum.shape
        torch.Size([2, 513, 86])
        >>> stft.inverse(spectrum, 22050).shape
        torch.Size([2, 22050])
    """

    def __init__(self, convention: STFTConvention | str | os.PathLike[str]) -> None:
        super().__init__()
        if not isinstance(convention, STFTConvention | str | os.PathLike):
            raise ConventionError(
                "an STFT needs an STFTConvention, a MelConvention, a preset's name or the path of "
                f"a JSON file, not {type(convention).__name__}"
            )
        # Without the fields that a mel convention adds, so that equal STFTs share their tables.
        self.convention = as_stft_convention(convention)
        self._graph_window = _graph_window(self.convention)

    def extra_repr(self) -> str:
        """Return the convention as text."""
        return repr(self.convention)

    def plan(self, n_frames: int, n_samples: int, like: Tensor) -> STFTPlan:
        """Return the tables for one size of signals.

        Args:
            n_frames: Number of frames.
            n_samples: Number of samples.
            like: Tensor with the dtype and device of the tables.

        Returns:
            The cached plan; in a traced graph one that is computed there.
        """
        if is_traced(like):
            window = self._graph_window.like(like)
            return traced_stft_plan(self.convention, n_frames, n_samples, window)
        return stft_plan(self.convention, n_frames, n_samples, like.dtype, like.device)

    def default_length(self, n_frames: Count) -> Count:
        """Return the number of samples that frames determine.

        Args:
            n_frames: Number of frames, or a tensor with one number per item.

        Returns:
            ``convention.n_samples(n_frames)``. Never waits for the device.
        """
        if isinstance(n_frames, Tensor):
            return self.sample_counts(n_frames)
        return self.convention.n_samples(n_frames)

    def sample_counts(self, frame_counts: Tensor) -> Tensor:
        """Return ``convention.n_samples`` of each count, without a host sync.

        Args:
            frame_counts: Numbers of frames.

        Returns:
            Numbers of samples, of the same shape.
        """
        convention, hop_length = self.convention, self.convention.hop_length
        hops = frame_counts - int(convention.ends_on_frame)
        # `min_samples` of each count
        needed = convention.support + hop_length * (
            frame_counts - 1 + int(convention.drop_last_frame)
        )
        return torch.maximum(hop_length * hops.clamp(min=1), needed - 2 * convention.left_padding)

    def frame_counts(self, sample_counts: Tensor) -> Tensor:
        """Return ``convention.n_frames`` of each count, without a host sync.

        Args:
            sample_counts: Numbers of samples.

        Returns:
            Numbers of frames, of the same shape.
        """
        reach = sample_counts + 2 * self.convention.left_padding - self.convention.support
        frames = 1 + reach.div(self.convention.hop_length, rounding_mode="floor")
        return (frames - int(self.convention.drop_last_frame)).clamp(min=0)

    def valid_length(
        self, frame_counts: Tensor, n_samples: int, length: int | Tensor | None
    ) -> Tensor:
        """Return the number of samples of each item of a padded batch.

        Args:
            frame_counts: Frames of each item, (…).
            n_samples: Samples of the padded batch.
            length: Requested length of the longest items, or of each item, (…). It counts for an
                item if it gives the item's frames. Default: `default_length` of the frames.

        Returns:
            Samples of each item, (…), at most `n_samples`.
        """
        samples = self.default_length(frame_counts).clamp(max=n_samples)
        if length is None:
            return samples
        if isinstance(length, Tensor):
            fits = frame_counts == self.frame_counts(length)
            return torch.where(fits, length.clamp(max=n_samples), samples)
        longest = frame_counts == self.convention.n_frames(length)
        return torch.where(longest, min(length, n_samples), samples)

    @full_precision
    def forward(self, waveform: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the complex spectrum of a waveform.

        Args:
            waveform: Waveform (…, n_samples).
            lengths: Samples of each item of a padded batch, (…).

        Returns:
            Complex spectrum (…, n_freqs, n_frames); 0 in padding frames.

        Raises:
            InputError: If the waveform is not real floating point, or too short for a frame.

        Shape:
            - waveform: (…, n_samples)
            - lengths: (…)
            - output: (…, n_freqs, n_frames)
        """
        waveform = check_real(waveform, "waveform")
        if waveform.ndim == 0:
            raise InputError("the waveform is a single number; it must be (…, n_samples)")
        if waveform.shape[-1] and not waveform.numel():
            raise InputError(f"the waveform is empty (shape {tuple(waveform.shape)}); give an item")
        convention, n_samples = self.convention, waveform.shape[-1]
        n_frames = convention.n_frames(n_samples) if n_samples else 0
        if n_frames == 0:
            raise InputError(
                f"a waveform of {n_samples} samples gives no frame; this convention needs "
                f"{convention.min_samples(1)}"
            )
        signal = waveform.reshape(-1, n_samples)
        plan = self.plan(n_frames, n_samples, signal)
        if lengths is not None:
            items = waveform.shape[:-1]
            sample_counts = check_lengths(lengths, items, n_samples, signal.device).reshape(-1)
            plan = ragged_plan(self.frame_counts(sample_counts), sample_counts, plan)
            signal = torch.where(length_mask(sample_counts, n_samples), signal, 0)
        spectrum = plan.masked(self._transform(plan.pad(signal), plan.window)).mT
        return spectrum.reshape(*waveform.shape[:-1], convention.n_freqs, n_frames)

    def blocks(self, waveform: Tensor) -> Iterator[Tensor]:
        """Compute the spectrum of a long waveform block by block.

        Args:
            waveform: Waveform (…, n_samples) with at least one frame.

        Yields:
            Complex spectra (…, n_freqs, frames), together those of `forward`.
        """
        convention, n_samples = self.convention, waveform.shape[-1]
        n_frames = convention.n_frames(n_samples)
        signal = waveform.reshape(-1, n_samples)
        # Not cached: tables of long signals would stay.
        plan = make_stft_plan(convention, n_frames, n_samples, signal.dtype, signal.device)
        padded, hop_length = plan.pad(signal), convention.hop_length
        for first, end in ranges(n_frames, max(1, _BLOCK_SAMPLES // convention.n_fft)):
            part = padded[:, first * hop_length : (end - 1) * hop_length + convention.n_fft]
            spectrum = self._transform(part, plan.window).mT
            yield spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[1:])

    def _transform(self, padded: Tensor, window: Tensor) -> Tensor:
        """Return the spectrum (items, frames, n_freqs) of padded signals."""
        convention = self.convention
        if convention.remove_dc or convention.pre_emphasis:
            return torch.fft.rfft(self._condition(padded) * window)
        return torch.fft.rfft(frame_signal(padded, window, convention.hop_length))

    def _condition(self, padded: Tensor) -> Tensor:
        """Return frames (items, frames, n_fft), each without DC and pre-emphasized, as in Kaldi."""
        convention = self.convention
        frames = padded.unfold(-1, convention.n_fft, convention.hop_length)
        frames = frames[..., : convention.support]
        if convention.remove_dc:
            frames = frames - frames.mean(-1, keepdim=True)
        if convention.pre_emphasis:
            previous = torch.cat([frames[..., :1], frames[..., :-1]], -1)
            frames = frames - convention.pre_emphasis * previous
        return pad(frames, (0, convention.n_fft - convention.support))

    @full_precision
    def inverse(self, spectrum: Tensor, length: int | None = None) -> Tensor:
        """Compute the waveform of a complex spectrum: the least-squares inverse of `forward`.

        Args:
            spectrum: Complex spectrum (…, n_freqs, n_frames).
            length: Number of output samples. Default: ``convention.n_samples(n_frames)``.

        Returns:
            Waveform (…, length); 0 where no window reaches.

        Raises:
            InputError: If the spectrum has another shape or is not complex64 or complex128.

        Shape:
            - spectrum: (…, n_freqs, n_frames)
            - output: (…, length)
        """
        if not isinstance(spectrum, Tensor):
            raise InputError(
                f"spectrum has type {type(spectrum).__name__}; it must be a torch.Tensor"
            )
        if spectrum.dtype not in (torch.complex64, torch.complex128):
            raise InputError(
                f"the spectrum has dtype {spectrum.dtype}; it must be complex64 or complex128"
            )
        check_features(spectrum.real, "spectrum", self.convention.n_freqs)
        n_frames = spectrum.shape[-1]
        if length is None:
            length = self.convention.n_samples(n_frames)
        check_length(length)
        rows = spectrum.reshape(-1, *spectrum.shape[-2:]).mT
        signal = self.plan(n_frames, length, rows.real).inverse(rows)
        signal = de_emphasize(signal, self.convention.pre_emphasis)
        return signal.reshape(*spectrum.shape[:-2], length)
