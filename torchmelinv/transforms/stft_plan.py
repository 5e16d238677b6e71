"""Analysis, synthesis and their adjoints for signals of one size.

With the window w, the hop h and the padded signal x, analysis is

    c_t = rfft(w · x[t h + (0 … n_fft − 1)]).

Synthesis is its least-squares inverse (Griffin and Lim 1984, eq. 6): overlap-add of w · irfft(c_t),
divided by Σ_t w²(n − t h).

Consistency, synthesis followed by analysis, is idempotent for every padding, but for samples that
few windows reach (`sumsquare_floor`). It is an orthogonal projection (in the inner product that
counts mirrored bins) with zero padding only: reflection is not self-adjoint.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.batching import length_mask
from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.table_cache import keep_for_graphs, to_device
from torchmelinv._utils.tracing import is_traced
from torchmelinv.conventions import STFTConvention
from torchmelinv.cuda.layout import Layout
from torchmelinv.transforms.overlap_add import frame_signal, overlap_add
from torchmelinv.transforms.window import hops_of_window, sumsquare_floor, window_table


def _padded_length(convention: STFTConvention, n_frames: int) -> int:
    """Return the number of samples that `n_frames` cover."""
    return convention.hop_length * (n_frames - 1) + convention.n_fft


def _reflects(convention: STFTConvention) -> bool:
    return convention.padding.endswith(("reflect", "reflect_win"))


def _reflect(position: Tensor, length: Any) -> Tensor:
    """Return indices into a signal of `length` samples, one number or a tensor, that reflects."""
    if not isinstance(length, Tensor):
        length = position.new_full((1,), length)  # ONNX takes no symbol in `remainder`
    period = (2 * (length - 1)).clamp(min=1)
    folded = position.remainder(period)
    return torch.minimum(torch.minimum(folded, period - folded), length - 1)


def fit_length(signal: Tensor, n_samples: int) -> Tensor:
    """Return the signal, trimmed or zero-padded to n_samples."""
    missing = n_samples - signal.shape[-1]
    return pad(signal, (0, missing)) if missing > 0 else signal[..., :n_samples]


@dataclasses.dataclass(frozen=True, eq=False)
class STFTPlan:
    """The tables of one geometry for signals of one size; every iteration uses them.

    Spectra are time-major: (items, frames, n_freqs).
    """

    convention: STFTConvention
    n_frames: int
    n_samples: int  # of the signal without padding
    window: Tensor  # (n_fft,)
    # Indices of the samples that are repeated before and after the signal; None without reflection
    edge_indices: tuple[Tensor, Tensor] | None = None
    # Index of each padded sample if there is reflection: (items, padded samples) if items differ in
    # length, (padded samples,) in a traced graph
    padded_indices: Tensor | None = None
    # True for an item's own frames, (items, frames, 1); None if all items have n_frames
    frame_mask: Tensor | None = None
    # Samples of each item, (items,); None if all items have n_samples
    n_valid: Tensor | None = None

    @property
    def inverse_sumsquare(self) -> Tensor:
        """1 / (n_fft Σw²), (n_samples,), or (items, n_samples) if items differ in length.

        Only synthesis needs it, so it is computed at first access, in double precision.
        """
        # `torch.compile` cannot trace a cached property.
        return self._envelope(self.window) if is_traced(self.window) else self._cached_envelope

    @functools.cached_property
    @outside_inference_mode
    def _cached_envelope(self) -> Tensor:
        convention, like = self.convention, (self.window.dtype, self.window.device)
        if self.frame_mask is not None:
            return self._envelope(window_table(convention))
        return _long_inverse_sumsquare(convention, self.n_frames, self.n_samples, *like)

    def _envelope(self, window: Tensor) -> Tensor:
        """Return `inverse_sumsquare` from a window of any precision."""
        n_frames, n_samples, device = self.n_frames, self.n_samples, self.window.device
        window = to_device(window, torch.float32 if device.type == "mps" else torch.float64, device)
        counts: Any = n_frames
        if self.frame_mask is not None:
            counts = self.frame_mask.sum((-2, -1))[:, None, None]
        inverse = _inverse_sumsquare(window, self.convention, n_frames, n_samples, counts)
        if self.n_valid is not None:
            inverse = inverse * length_mask(self.n_valid, n_samples)
        return inverse.to(self.window.dtype)

    @functools.cached_property
    def layout(self) -> Layout:
        """The plan as the CUDA kernels take it."""
        convention = self.convention
        return Layout(
            n_fft=convention.n_fft,
            hop_length=convention.hop_length,
            left=convention.left_padding,
            n_frames=self.n_frames,
            n_samples=self.n_samples,
            reflect=self.edge_indices is not None,
            window=self.window,
            inverse_sumsquare=self.inverse_sumsquare,
            n_valid=None if self.n_valid is None else self.n_valid.int(),
        )

    def pad(self, signal: Tensor) -> Tensor:
        """Pad a signal (items, n_samples) to hop · (T − 1) + n_fft samples, or trim it to them."""
        if self.padded_indices is not None and self.padded_indices.ndim == 1:
            return signal.index_select(-1, self.padded_indices)
        if self.padded_indices is not None:
            return signal.gather(-1, self.padded_indices)
        padded_length = _padded_length(self.convention, self.n_frames)
        if self.edge_indices is None:
            left = self.convention.left_padding
            return pad(signal, (left, padded_length - left - self.n_samples))
        before, after = (signal.index_select(-1, indices) for indices in self.edge_indices)
        padded = torch.cat([before, signal, after], -1)
        return padded if padded.shape[-1] == padded_length else padded[..., :padded_length]

    def forward(self, signal: Tensor) -> Tensor:
        """Return the spectrum (items, frames, n_freqs) of a signal (items, n_samples)."""
        frames = frame_signal(self.pad(signal), self.window, self.convention.hop_length)
        return torch.fft.rfft(frames)

    def inverse(self, spectrum: Tensor) -> Tensor:
        """Return the signal (items, n_samples) of a spectrum; 0 where no window reaches."""
        # `inverse_sumsquare` holds the 1 / n_fft that norm="forward" leaves out.
        frames = torch.fft.irfft(spectrum, n=self.convention.n_fft, norm="forward")
        signal = overlap_add(frames, self.window, self.convention.hop_length)
        left = self.convention.left_padding
        return fit_length(signal[..., left:], self.n_samples) * self.inverse_sumsquare

    def _scale_unpaired(self, spectrum: Tensor, factor: float) -> Tensor:
        """Multiply, in place, the bins without a mirrored one: DC and, for even n_fft, the last."""
        n_fft = self.convention.n_fft
        for frequency in (0,) if n_fft % 2 else (0, n_fft // 2):
            spectrum[..., frequency] *= factor
        return spectrum

    def inverse_adjoint(self, signal: Tensor) -> Tensor:
        """Apply the transpose of `inverse`, real and imaginary parts counted as separate numbers.

        Signal (items, n_samples) -> spectrum (items, frames, n_freqs).
        """
        left, hop_length = self.convention.left_padding, self.convention.hop_length
        padded = pad(signal * self.inverse_sumsquare, (left, 0))
        padded = fit_length(padded, _padded_length(self.convention, self.n_frames))
        frames = frame_signal(padded, 2 * self.window, hop_length)
        return self._scale_unpaired(torch.fft.rfft(frames), 1 / 2)

    def forward_adjoint(self, spectrum: Tensor) -> Tensor:
        """Apply the transpose of `forward`; overwrites the spectrum.

        Spectrum (items, frames, n_freqs) -> signal (items, n_samples). Half of autograd's work,
        which fills all n_fft bins for a complex transform.
        """
        spectrum = self._scale_unpaired(spectrum, 2)
        frames = torch.fft.irfft(spectrum, n=self.convention.n_fft, norm="forward")
        padded_grad = overlap_add(frames, self.window / 2, self.convention.hop_length)
        with torch.enable_grad():
            signal = frames.new_zeros(len(frames), self.n_samples, requires_grad=True)
            padded = self.pad(signal)
        return torch.autograd.grad(padded, signal, padded_grad)[0]

    def masked(self, spectrum: Tensor) -> Tensor:
        """Return the spectrum with zeros in padding frames."""
        return spectrum if self.frame_mask is None else torch.where(self.frame_mask, spectrum, 0)

    def consistent(self, spectrum: Tensor) -> Tensor:
        """Return P_C(c), the spectrum of the signal of a spectrum (items, frames, n_freqs)."""
        return self.masked(self.forward(self.inverse(spectrum)))


def _inverse_sumsquare(
    window: Tensor, convention: STFTConvention, n_frames: int, n_samples: int, counts: Any
) -> Tensor:
    """Return 1 / (n_fft Σw²) over an item's own frames, in the window's dtype and on its device.

    Counts, one number or (items, 1, 1) -> (n_samples,) or (items, n_samples); 0 where no window
    reaches.
    """
    squared = hops_of_window(window.square(), convention.hop_length)
    # Whether hop h holds part s of a frame: frame h − s must be one of the item's own.
    position = torch.arange(n_frames + len(squared) - 1, device=window.device)
    frame = position[:, None] - torch.arange(len(squared), device=window.device)
    sumsquare = (((frame >= 0) & (frame < counts)).to(window.dtype) @ squared).flatten(-2)
    sumsquare = sumsquare[..., convention.left_padding : _padded_length(convention, n_frames)]
    sumsquare = fit_length(sumsquare, n_samples)
    floor = sumsquare_floor(window, convention.hop_length) * sumsquare.amax(-1, keepdim=True)
    reached = (sumsquare > 0).to(sumsquare.dtype)
    return safe_divide(reached, convention.n_fft * torch.maximum(sumsquare, floor))


@outside_inference_mode
def _long_inverse_sumsquare(
    convention: STFTConvention,
    n_frames: int,
    n_samples: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Return `_inverse_sumsquare` of one item, (n_samples,), computed on the CPU in float64.

    Between the ends it repeats itself from hop to hop, so it is computed for a few frames.
    """
    hop, overlap = convention.hop_length, -(-convention.n_fft // convention.hop_length)
    few = min(n_frames, 4 * overlap)
    missing = (n_frames - few) * hop
    if n_samples <= missing + 2 * convention.n_fft:  # cut so short that the ends meet
        few, missing = n_frames, 0
    window = window_table(convention)
    inverse = _inverse_sumsquare(window, convention, few, n_samples - missing, few)
    if missing:
        middle = 2 * overlap * hop - convention.left_padding
        repeated = inverse[middle : middle + hop].repeat(n_frames - few)
        inverse = torch.cat([inverse[:middle], repeated, inverse[middle:]])
    return to_device(inverse, dtype, device)


def _edge_indices(
    convention: STFTConvention, n_samples: int, right: int, device: torch.device
) -> tuple[Tensor, Tensor] | None:
    """Return the indices of the samples that are repeated, `right` of them after the signal.

    None without reflection.
    """
    if not _reflects(convention):
        return None
    before = torch.arange(-convention.left_padding, 0, device=device)
    after = torch.arange(right, device=device) + n_samples
    return _reflect(before, n_samples), _reflect(after, n_samples)


@outside_inference_mode
def make_stft_plan(
    convention: STFTConvention,
    n_frames: int,
    n_samples: int,
    dtype: torch.dtype,
    device: torch.device,
) -> STFTPlan:
    """Return the plan for signals of `n_samples` and spectra of `n_frames`.

    The tables are computed on the CPU, the window in float64, then moved.
    """
    right = _padded_length(convention, n_frames) - convention.left_padding - n_samples
    edges = _edge_indices(convention, n_samples, max(right, 0), torch.device("cpu"))
    if edges is not None:
        before, after = (to_device(each, each.dtype, device) for each in edges)
        edges = before, after
    window = to_device(window_table(convention), dtype, device)
    return STFTPlan(convention, n_frames, n_samples, window, edges)


def traced_stft_plan(
    convention: STFTConvention, n_frames: int, n_samples: int, window: Tensor
) -> STFTPlan:
    """Return the plan for a traced graph.

    Sizes may be symbols there. That of the padded signal follows from the frames alone, so that no
    guard depends on the remainder of the last hop.
    """
    indices = None
    if _reflects(convention):
        position = torch.arange(_padded_length(convention, n_frames), device=window.device)
        indices = _reflect(position - convention.left_padding, n_samples)
    return STFTPlan(convention, n_frames, n_samples, window, padded_indices=indices)


_last_plans = functools.lru_cache(maxsize=64)(make_stft_plan)


def stft_plan(
    convention: STFTConvention,
    n_frames: int,
    n_samples: int,
    dtype: torch.dtype,
    device: torch.device,
) -> STFTPlan:
    """Return the cached plan, arguments as those of `make_stft_plan`."""
    plan = _last_plans(convention, n_frames, n_samples, dtype, device)
    return keep_for_graphs(plan, plan.window.device)


def ragged_plan(frame_counts: Tensor, sample_counts: Tensor, plan: STFTPlan) -> STFTPlan:
    """Return the plan for a padded batch, where each item is padded at its own end.

    Args:
        frame_counts: Frames of each item, (items,).
        sample_counts: Samples of each item, (items,). Signals must be 0 after them; `inverse` makes
            them so.
        plan: The plan for the size of the padded batch.

    Returns:
        The plan with the masks and the padding of each item.
    """
    convention, device = plan.convention, plan.window.device
    padded_indices = None
    if _reflects(convention):
        position = torch.arange(_padded_length(convention, plan.n_frames), device=device)
        padded_indices = _reflect(position - convention.left_padding, sample_counts[:, None])
    return dataclasses.replace(
        plan,
        padded_indices=padded_indices,
        frame_mask=length_mask(frame_counts, plan.n_frames)[..., None],
        n_valid=sample_counts,
    )
