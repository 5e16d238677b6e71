"""The step of `step_cuda.py` for any frame length and hop: cuFFT, with kernels around it.

Two frames share one complex transform. Spectra pass through device memory, 8 bytes for each sample
of each pair of frames; they are not stored. The reference in plain torch is the same as that of
`step_cuda.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.cuda.layout import Layout, MelUpdate
from torchmelinv.cuda.mel_update import padded_bins
from torchmelinv.cuda.nvrtc import Kernel, launch, max_shared_bytes

FRAME = Kernel("pairs.cu", "frame_pairs")
IMPOSE = Kernel("pairs.cu", "impose_pairs")
MEL_UPDATE = Kernel("pairs.cu", "update_pairs")
IMPOSE_VJP = Kernel("pairs.cu", "impose_pairs_vjp")
OVERLAP_ADD = Kernel("pairs.cu", "overlap_add_pairs")
FOLD = Kernel("pairs.cu", "fold_pairs")
THREADS, UPDATE_THREADS = 256, 128  # as in the source
MAX_SAMPLES = 2**29  # of a padded signal, so that no sum of positions exceeds 32 bits


def kernels() -> tuple[Kernel, ...]:
    """Return all kernels; they take every size."""
    return FRAME, IMPOSE, MEL_UPDATE, IMPOSE_VJP, OVERLAP_ADD, FOLD


def _mel_update_bytes(layout: Layout, update: MelUpdate) -> int:
    n_mels = update.values.shape[-1]
    return 8 * (padded_bins(layout.n_freqs) + layout.n_freqs + 2 * n_mels + 1)


def unsupported_reason(layout: Layout, target: Tensor | MelUpdate | None = None) -> str | None:
    """Return why the kernels cannot take this size and target, or None if they can."""
    if layout.hop_length * layout.n_frames + layout.n_fft + layout.n_samples > MAX_SAMPLES:
        return "signals of more than 2²⁹ samples"
    largest = max_shared_bytes(layout.window.device)
    if isinstance(target, MelUpdate) and _mel_update_bytes(layout, target) > largest:
        n_fft = layout.n_fft
        return f"a mel target with n_fft = {n_fft} takes more shared memory than there is"
    return None


def _inverse_sumsquare(layout: Layout) -> tuple[Tensor, int]:
    """Return the table and its stride from item to item."""
    table = layout.inverse_sumsquare
    return table, layout.n_samples if table.ndim == 2 else 0


def _blocks(layout: Layout) -> int:
    """Return the number of blocks for the samples of one item."""
    return -(-layout.n_samples // THREADS)


def _size(layout: Layout) -> tuple[int, int, int, int, int]:
    return layout.n_fft, layout.hop_length, layout.left, layout.n_frames, layout.n_samples


def _empty_pairs(layout: Layout, signal: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Return complex frames (items, pairs, n_fft) to fill, and a grid with one block per pair."""
    shape = len(signal), (layout.n_frames + 1) // 2, layout.n_fft
    z = torch.empty(shape, dtype=torch.complex64, device=signal.device)
    return z, (shape[0] * shape[1], 1)


def frames(layout: Layout, signal: Tensor, previous: Tensor | None, alpha: float) -> Tensor:
    """Return the windowed frames of y in pairs, (items, pairs, n_fft)."""
    z, grid = _empty_pairs(layout, signal)
    options = (previous, float(alpha), None, 0, layout.n_valid, int(layout.reflect))
    launch(FRAME, grid, THREADS, signal, *options, layout.window, z, *_size(layout))
    return z


def adjoint_frames(layout: Layout, grad: Tensor) -> Tensor:
    """Return the gradient of the frames before their window and overlap-add, from that of x."""
    z, grid = _empty_pairs(layout, grad)
    options = (None, 0.0, *_inverse_sumsquare(layout), None, 0)
    launch(FRAME, grid, THREADS, grad, *options, layout.window, z, *_size(layout))
    return z


def impose(layout: Layout, target: Tensor | MelUpdate, z: Tensor) -> None:
    """Apply P to the transformed pairs, in place."""
    grid = (z.shape[0] * z.shape[1], 1)
    sizes = (layout.n_fft, layout.n_frames)
    if isinstance(target, Tensor):
        launch(IMPOSE, grid, THREADS, z, target.contiguous(), *sizes)
        return
    bands = (target.values.shape[-1], padded_bins(layout.n_freqs))
    shared = _mel_update_bytes(layout, target)
    launch(MEL_UPDATE, grid, UPDATE_THREADS, z, *target, *sizes, *bands, shared_bytes=shared)


def overlap_add(
    layout: Layout,
    z: Tensor,
    signal: Tensor,
    previous: Tensor | None,
    beta: float,
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """Return x and t⁺ = d + γ (x − d) from the pairs of frames."""
    x = torch.empty_like(signal)
    relaxed = None if gamma == 1 else torch.empty_like(signal)
    inputs = (z, layout.window, *_inverse_sumsquare(layout), signal, previous)
    grid, sizes = (len(signal) * _blocks(layout), 1), (*_size(layout), _blocks(layout))
    launch(OVERLAP_ADD, grid, THREADS, *inputs, float(beta), float(gamma), x, relaxed, *sizes)
    return x, x if relaxed is None else relaxed


def fold(layout: Layout, z: Tensor) -> Tensor:
    """Return the transpose of `frames`: the gradient of y from that of the pairs."""
    to_signal = torch.empty(len(z), layout.n_samples, dtype=torch.float32, device=z.device)
    inputs = (z, layout.window, layout.n_valid, int(layout.reflect))
    grid, sizes = (len(z) * _blocks(layout), 1), (*_size(layout), _blocks(layout))
    launch(FOLD, grid, THREADS, *inputs, to_signal, *sizes)
    return to_signal


def step(
    layout: Layout,
    target: Tensor | MelUpdate,
    signal: Tensor,
    previous: Tensor | None,
    alpha: float,
    beta: float,
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """Return x and t⁺, (items, n_samples) each; they are the same tensor if γ is 1.

    Args:
        layout: The frames of the signals.
        target: Magnitudes (items, frames, n_freqs), or a mel.
        signal: t, (items, n_samples).
        previous: t⁻, or None for y = d = t.
        alpha: Extrapolation α.
        beta: Extrapolation β.
        gamma: Relaxation γ.

    Returns:
        x and t⁺.
    """
    signal, previous = signal.contiguous(), None if previous is None else previous.contiguous()
    z = torch.fft.fft(frames(layout, signal, previous, alpha))
    impose(layout, target, z)
    z = torch.fft.ifft(z, norm="forward")  # inverse_sumsquare contains the 1 / n_fft
    return overlap_add(layout, z, signal, previous, beta, gamma)


def project_vjp(
    layout: Layout,
    magnitude: Tensor,
    signal: Tensor,
    previous: Tensor | None,
    alpha: float,
    grad: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to y and to the magnitude, from the gradient of x.

    The spectrum of y is computed again. It and the spectrum of the gradient have transforms of
    their own, so that the rounding error of neither affects the other, whatever the scale of the
    gradient.
    """
    signal, previous = signal.contiguous(), None if previous is None else previous.contiguous()
    x = torch.fft.fft(frames(layout, signal, previous, alpha))
    e = torch.fft.fft(adjoint_frames(layout, grad.contiguous()))
    magnitude = magnitude.contiguous()
    to_magnitude = torch.empty_like(magnitude)
    grid, sizes = (x.shape[0] * x.shape[1], 1), (layout.n_fft, layout.n_frames)
    launch(IMPOSE_VJP, grid, THREADS, x, e, magnitude, to_magnitude, *sizes)
    del x
    return fold(layout, torch.fft.ifft(e, norm="forward")), to_magnitude
