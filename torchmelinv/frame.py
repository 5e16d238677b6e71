"""Waveform to complex frames and back: one geometry, shared by analysis and inversion so that they cannot disagree.

With w the window, analysis is c_t = rfft(w · x[t·hop + (0…n_fft−1)]) of the padded waveform. Synthesis is its least-squares
inverse (Griffin and Lim 1984, eq. 6): overlap-add of w · irfft(c_t), divided by the envelope Σ_t w²(n − t·hop).

Consistency, synthesise then analyse, is idempotent for every padding; it is an orthogonal projection (in the inner product
that counts the mirrored bins) only with zero padding, because reflection is not self-adjoint.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError
from torchmelinv.ops.checks import as_lengths, as_real, as_rows
from torchmelinv.ops.items import leading
from torchmelinv.ops.layout import Layout
from torchmelinv.ops.overlap_add import frame_signal, overlap_add
from torchmelinv.ops.precision import full_precision, lasting
from torchmelinv.window import window_table

# Where the envelope falls below this part of its peak, few windows reach and dividing by it would blow up whatever is
# inconsistent there: such samples are tapered instead.
ENVELOPE_FLOOR = 0.01

Count = TypeVar("Count", int, Tensor)  # one number, or one for each item


def _reflect(position: Tensor, length: Tensor | int) -> Tensor:
    """Index into a signal of `length` samples for any integer position, mirrored at both ends as often as needed."""
    length = torch.as_tensor(length, device=position.device)
    period = (2 * (length - 1)).clamp(min=1)
    folded = position.remainder(period)
    return torch.minimum(torch.minimum(folded, period - folded), length - 1)


def _fit(signal: Tensor, n_samples: int) -> Tensor:
    """The signal cut or filled with zeros to n_samples."""
    missing = n_samples - signal.shape[-1]
    return pad(signal, (0, missing)) if missing > 0 else signal[..., :n_samples]


@dataclasses.dataclass(frozen=True, eq=False)
class FramePlan:
    """The tables that one geometry needs for signals of one size: made once, used by every iteration.

    Inside, frames are time-major: (items, frames, n_freqs).
    """

    convention: FrameConvention
    n_frames: int
    n_samples: int  # of the unpadded signal
    window: Tensor  # (n_fft,)
    inverse_envelope: Tensor  # (n_samples,), or (items, n_samples) where items differ in length
    edges: tuple[Tensor, Tensor] | None  # mirrored indices left and right of the signal, where the padding reflects
    indices: Tensor | None  # (items, padded samples): the same for items that differ in length
    counted: Tensor | None = None  # (items, frames, 1), whether a frame is an item's own; None where all are
    ends: Tensor | None = None  # (items,), samples of each item; None where all have n_samples

    @functools.cached_property
    def layout(self) -> Layout:
        """The plan as kernels are told of it."""
        convention, ends = self.convention, None if self.ends is None else self.ends.int()
        lengths = (convention.n_fft, convention.hop_length, convention.left_padding, self.n_frames, self.n_samples)
        return Layout(*lengths, self.edges is not None, self.window, self.inverse_envelope, ends)

    def pad(self, signal: Tensor) -> Tensor:
        """Signal (items, n_samples) -> (items, hop · (T − 1) + n_fft): padded, or cut where frames stop before its end."""
        if self.indices is not None:
            return signal.gather(-1, self.indices)
        left = self.convention.left_padding
        right = self.convention.hop_length * (self.n_frames - 1) + self.convention.n_fft - left - self.n_samples
        if self.edges is None:
            return pad(signal, (left, right))
        before, after = (signal.index_select(-1, edge) for edge in self.edges)
        return torch.cat([before, signal[..., : self.n_samples + min(right, 0)], after], -1)

    def analyse(self, signal: Tensor) -> Tensor:
        """Signal (items, n_samples) -> spectrum (items, frames, n_freqs)."""
        return torch.fft.rfft(frame_signal(self.pad(signal), self.window, self.convention.hop_length))

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Spectrum (items, frames, n_freqs) -> signal (items, n_samples); 0 where no window reaches."""
        frames = torch.fft.irfft(spectrum, n=self.convention.n_fft, norm="forward")  # its 1 / n_fft is in the envelope
        signal = overlap_add(frames, self.window, self.convention.hop_length)
        left = self.convention.left_padding
        return _fit(signal[..., left:], self.n_samples) * self.inverse_envelope

    # A real signal's spectrum stands for twice as many bins, but for DC and, where there is one, half of the sampling rate.

    def _once(self, spectrum: Tensor, factor: float) -> Tensor:
        """The spectrum with those bins multiplied, in place."""
        n_fft = self.convention.n_fft
        for frequency in (0,) if n_fft % 2 else (0, n_fft // 2):
            spectrum[..., frequency] *= factor
        return spectrum

    def adjoint_of_synthesis(self, signal: Tensor) -> Tensor:
        """The transpose of `synthesise`, for real and imaginary parts: signal (items, n_samples) -> (items, frames, n_freqs)."""
        left, hop_length = self.convention.left_padding, self.convention.hop_length
        total = hop_length * (self.n_frames - 1) + self.convention.n_fft
        padded = _fit(pad(signal * self.inverse_envelope, (left, 0)), total)
        return self._once(torch.fft.rfft(frame_signal(padded, 2 * self.window, hop_length)), 1 / 2)

    def adjoint_of_analysis(self, spectrum: Tensor) -> Tensor:
        """The transpose of `analyse`: (items, frames, n_freqs), which is overwritten -> signal (items, n_samples).

        Half of autograd's work, which fills up all n_fft bins for a complex transform.
        """
        frames = torch.fft.irfft(self._once(spectrum, 2), n=self.convention.n_fft, norm="forward")
        with torch.enable_grad():
            signal = frames.new_zeros(len(frames), self.n_samples, requires_grad=True)
            padded = self.pad(signal)
        return torch.autograd.grad(padded, signal, overlap_add(frames, self.window / 2, self.convention.hop_length))[0]

    def masked(self, spectrum: Tensor) -> Tensor:
        """The spectrum with zeros in frames after an item's own."""
        return spectrum if self.counted is None else torch.where(self.counted, spectrum, 0)

    def consistent(self, spectrum: Tensor) -> Tensor:
        """P_C: the spectrum, (items, frames, n_freqs), of the signal that a spectrum gives."""
        return self.masked(self.analyse(self.synthesise(spectrum)))


def _inverse_envelope(convention: FrameConvention, n_frames: int, n_samples: int, frame_mask: Tensor) -> Tensor:
    """1 / (n_fft Σ w²) over the frames that count, (items, frames) -> (items, n_samples), in the mask's dtype."""
    squared = window_table(convention).square().to(frame_mask.dtype).to(frame_mask.device)
    envelope = overlap_add(frame_mask[..., None] * squared, torch.ones_like(squared), convention.hop_length)
    envelope = _fit(envelope[..., convention.left_padding :], n_samples)
    floor = ENVELOPE_FLOOR * envelope.amax(-1, keepdim=True)
    inverse = 1 / (convention.n_fft * torch.maximum(envelope, floor))
    return torch.where(envelope > 0, inverse, 0)


@functools.lru_cache(maxsize=64)
@lasting
def frame_plan(convention: FrameConvention, n_frames: int, n_samples: int, dtype: torch.dtype, device: torch.device) -> FramePlan:
    """The plan for signals of `n_samples` that are seen as `n_frames`; tables are made in float64 on the CPU."""
    edges = None
    if convention.padding.endswith(("reflect", "reflect_win")):
        left = convention.left_padding
        right = convention.hop_length * (n_frames - 1) + convention.n_fft - left - n_samples
        before, after = torch.arange(-left, 0), torch.arange(n_samples, n_samples + max(right, 0))
        edges = (_reflect(before, n_samples).to(device), _reflect(after, n_samples).to(device))
    mask = torch.ones(n_frames, dtype=torch.float64)
    inverse = _inverse_envelope(convention, n_frames, n_samples, mask)
    window, inverse = (table.to(dtype).to(device) for table in (window_table(convention), inverse))  # MPS has no float64
    return FramePlan(convention, n_frames, n_samples, window, inverse, edges, indices=None)


def ragged_plan(frame_counts: Tensor, sample_counts: Tensor, plan: FramePlan) -> FramePlan:
    """The same plan for a padded batch: item i has its own frames and samples, and its padding at its own end.

    Signals must be zero from their own end on, which `synthesise` sees to.
    """
    convention, device = plan.convention, plan.window.device
    frames = leading(frame_counts, plan.n_frames)
    samples = leading(sample_counts, plan.n_samples)
    widest = torch.float32 if device.type == "mps" else torch.float64
    inverse = _inverse_envelope(convention, plan.n_frames, plan.n_samples, frames.to(widest))
    indices = None
    if plan.edges is not None:
        padded = convention.hop_length * (plan.n_frames - 1) + convention.n_fft
        indices = _reflect(torch.arange(padded, device=device) - convention.left_padding, sample_counts[:, None])
    envelope = (inverse * samples).to(plan.window.dtype)
    return dataclasses.replace(plan, inverse_envelope=envelope, indices=indices, counted=frames[..., None], ends=sample_counts)


def de_emphasise(signal: Tensor, coefficient: float) -> Tensor:
    """Undo y[n] = x[n] − coefficient · x[n − 1] along the last dimension.

    The recursion's impulse response is coefficient^n; doubling sums of it reach every sample in log2(n) shifted adds,
    as far as coefficient^n is above the precision of the dtype.
    """
    if coefficient == 0:
        return signal
    memory = math.log(torch.finfo(signal.dtype).eps / 8) / math.log(coefficient)
    reach, gain = 1, coefficient
    while reach < min(signal.shape[-1], memory):
        signal = signal + gain * pad(signal, (reach, 0))[..., : signal.shape[-1]]
        reach, gain = 2 * reach, gain * gain
    return signal


class Frame(nn.Module):
    """Waveforms (…, n_samples) and their complex spectra (…, n_freqs, n_frames), there and back, in one frame convention.

    Linear; no parameters, no host sync.
    `synthesise(analyse(x), len(x))` is x wherever the envelope exceeds 1 % of its maximum and frames reach (to 1e-5 of the
    peak in float32). What each frame's DC removal takes away cannot be given back; pre-emphasis is undone.
    """

    def __init__(self, convention: FrameConvention) -> None:
        super().__init__()
        if not isinstance(convention, FrameConvention):
            raise InputError(f"a Frame is made from a FrameConvention or a MelConvention, not {type(convention).__name__}")
        self.convention = convention.frame  # without what a mel convention adds, so that equal frames share their tables

    def extra_repr(self) -> str:
        return repr(self.convention)

    def plan(self, n_frames: int, n_samples: int, like: Tensor) -> FramePlan:
        """The tables for one size, on `like`'s device and in its dtype."""
        return frame_plan(self.convention, n_frames, n_samples, like.dtype, like.device)

    def natural_samples(self, n_frames: Count) -> Count:
        """Samples that `n_frames` determine: `convention.n_samples`, and without padding also the tail of the last frame."""
        if self.convention.padding == "none":
            return self.convention.hop_length * (n_frames - 1) + self.convention.support
        return self.sample_counts(n_frames) if isinstance(n_frames, Tensor) else self.convention.n_samples(n_frames)

    def sample_counts(self, n_frames: Tensor) -> Tensor:
        """`convention.n_samples` of each number, without a host sync."""
        return self.convention.hop_length * (n_frames - int(self.convention.ends_on_frame)).clamp(min=1)

    def own_samples(self, frame_counts: Tensor, n_samples: int, length: int | None) -> Tensor:
        """Samples of each item of a padded batch of `n_samples`, of whose longest items `length` were asked for."""
        samples = self.natural_samples(frame_counts).clamp(max=n_samples)
        if length is None:
            return samples
        return torch.where(frame_counts == self.convention.n_frames(length), min(length, n_samples), samples)

    def frame_counts(self, sample_counts: Tensor) -> Tensor:
        """`convention.n_frames` of each number, without a host sync."""
        reach = sample_counts + 2 * self.convention.left_padding - self.convention.support
        frames = 1 + reach.div(self.convention.hop_length, rounding_mode="floor")
        return (frames - int(self.convention.drop_last_frame)).clamp(min=0)

    @full_precision
    def analyse(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveform (…, n_samples) -> complex spectrum (…, n_freqs, n_frames).

        `lengths` (…): samples of each item of a padded batch; frames after an item's own are zero.
        """
        waveform = as_real(waveform, "waveform")
        if waveform.ndim == 0:
            raise InputError("the waveform is a single number; it must be (…, n_samples)")
        convention, n_samples = self.convention, waveform.shape[-1]
        n_frames = convention.n_frames(n_samples) if n_samples else 0
        if n_frames == 0:
            raise InputError(f"a waveform of {n_samples} samples gives no frame; this convention needs more")
        signal = waveform.reshape(-1, n_samples)
        plan = self.plan(n_frames, n_samples, signal)
        if lengths is not None:
            sample_counts = as_lengths(lengths, waveform.shape[:-1], n_samples, signal.device).reshape(-1)
            plan = ragged_plan(self.frame_counts(sample_counts), sample_counts, plan)
            signal = torch.where(leading(sample_counts, n_samples), signal, 0)
        if convention.remove_dc or convention.pre_emphasis:
            spectrum = torch.fft.rfft(self._condition(plan.pad(signal)) * plan.window)
        else:
            spectrum = plan.analyse(signal)
        spectrum = plan.masked(spectrum)
        return spectrum.transpose(-1, -2).reshape(*waveform.shape[:-1], convention.n_freqs, n_frames)

    def _condition(self, padded: Tensor) -> Tensor:
        """Unwindowed frames (items, frames, n_fft) with each frame's DC removed and pre-emphasis applied, Kaldi's way."""
        convention = self.convention
        frames = padded.unfold(-1, convention.n_fft, convention.hop_length)[..., : convention.support]
        if convention.remove_dc:
            frames = frames - frames.mean(-1, keepdim=True)
        if convention.pre_emphasis:
            before = torch.cat([frames[..., :1], frames[..., :-1]], -1)
            frames = frames - convention.pre_emphasis * before
        return pad(frames, (0, convention.n_fft - convention.support))

    @full_precision
    def synthesise(self, spectrum: Tensor, length: int | None = None) -> Tensor:
        """Complex spectrum (…, n_freqs, n_frames) -> waveform (…, length), by default `convention.n_samples(n_frames)` long."""
        if spectrum.dtype not in (torch.complex64, torch.complex128):
            raise InputError(f"the spectrum has dtype {spectrum.dtype}; it must be complex64 or complex128")
        as_rows(spectrum.real, "spectrum", self.convention.n_freqs)
        n_frames = spectrum.shape[-1]
        length = self.convention.n_samples(n_frames) if length is None else length
        rows = spectrum.reshape(-1, *spectrum.shape[-2:]).transpose(-1, -2)
        signal = self.plan(n_frames, length, rows.real).synthesise(rows)
        return de_emphasise(signal, self.convention.pre_emphasis).reshape(*spectrum.shape[:-2], length)
