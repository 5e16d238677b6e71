"""The step of `step_cuda.py` for any frame length and hop: cuFFT, and kernels for what stands around it.

Two frames go through one complex transform. Spectra pass through device memory, 8 bytes for each sample of each pair of frames;
they are not kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.ops.layout import Layout, MelPull
from torchmelinv.ops.mel_pull import seen_bins
from torchmelinv.ops.nvrtc import Kernel, launch, most_shared_bytes

FRAME = Kernel("pairs.cu", "frame_pairs")
IMPOSE = Kernel("pairs.cu", "impose_pairs")
PULL = Kernel("pairs.cu", "pull_pairs")
TURN = Kernel("pairs.cu", "turn_pairs")
OVERLAP_ADD = Kernel("pairs.cu", "overlap_add_pairs")
FOLD = Kernel("pairs.cu", "fold_pairs")
THREADS, PULL_THREADS = 256, 128  # as in the source
MOST_SAMPLES = 2**29  # of a padded signal, so that no sum of positions leaves 32 bits


def kernels() -> tuple[Kernel, ...]:
    """All that may run; one of each serves every size."""
    return FRAME, IMPOSE, PULL, TURN, OVERLAP_ADD, FOLD


def _pull_bytes(layout: Layout, pull: MelPull) -> int:
    return 8 * (seen_bins(layout.n_freqs) + layout.n_freqs + 2 * pull.values.shape[-1] + 1)


def why_not(layout: Layout, pull: MelPull | None = None) -> str | None:
    """What keeps a size, or a pull on it, from these kernels, if anything does."""
    if layout.hop_length * layout.n_frames + layout.n_fft + layout.n_samples > MOST_SAMPLES:
        return "signals of more than 2²⁹ samples"
    if pull is not None and _pull_bytes(layout, pull) > most_shared_bytes(layout.window.device):
        return f"a pull towards a mel with n_fft = {layout.n_fft} takes more shared memory than there is"
    return None


def _envelope(layout: Layout) -> tuple[Tensor, int]:
    """The table, and how far it is from one item's to the next's."""
    return layout.inverse_envelope, layout.n_samples if layout.inverse_envelope.ndim == 2 else 0


def _blocks(layout: Layout) -> int:
    """Blocks for the samples of one item."""
    return -(-layout.n_samples // THREADS)


def _size(layout: Layout) -> tuple[int, int, int, int, int]:
    return layout.n_fft, layout.hop_length, layout.left, layout.n_frames, layout.n_samples


def frames(layout: Layout, signal: Tensor, previous: Tensor | None, momentum: float) -> Tensor:
    """The windowed frames of y, two and two, (items, pairs, n_fft)."""
    n_pairs = (layout.n_frames + 1) // 2
    z = torch.empty(len(signal), n_pairs, layout.n_fft, dtype=torch.complex64, device=signal.device)
    past = (previous, float(momentum), None, 0, layout.ends, int(layout.reflect))
    launch(FRAME, (z.shape[0] * n_pairs, 1), THREADS, signal, *past, layout.window, z, *_size(layout))
    return z


def adjoint_frames(layout: Layout, grad: Tensor) -> Tensor:
    """The gradient by frames before their window and overlap-add, from that by x: the envelope's share of it, 0 outside."""
    n_pairs = (layout.n_frames + 1) // 2
    z = torch.empty(len(grad), n_pairs, layout.n_fft, dtype=torch.complex64, device=grad.device)
    scaled = (None, 0.0, *_envelope(layout), None, 0)
    launch(FRAME, (z.shape[0] * n_pairs, 1), THREADS, grad, *scaled, layout.window, z, *_size(layout))
    return z


def project(layout: Layout, wanted: Tensor | MelPull, z: Tensor) -> None:
    """P on the transformed pairs, in place."""
    grid = (z.shape[0] * z.shape[1], 1)
    if isinstance(wanted, Tensor):
        launch(IMPOSE, grid, THREADS, z, wanted.contiguous(), layout.n_fft, layout.n_frames)
        return
    sizes = (layout.n_fft, layout.n_frames, wanted.values.shape[-1], seen_bins(layout.n_freqs))
    launch(PULL, grid, PULL_THREADS, z, *wanted, *sizes, shared_bytes=_pull_bytes(layout, wanted))


def overlap_add(
    layout: Layout, z: Tensor, signal: Tensor, previous: Tensor | None, inertia: float, relaxation: float
) -> tuple[Tensor, Tensor]:
    """x, and d + relaxation (x − d), from the pairs of frames."""
    x = torch.empty_like(signal)
    mixed = None if relaxation == 1 else torch.empty_like(signal)
    past = (signal, previous, float(inertia), float(relaxation))
    grid = (len(signal) * _blocks(layout), 1)
    tables = (layout.window, *_envelope(layout))
    launch(OVERLAP_ADD, grid, THREADS, z, *tables, *past, x, mixed, *_size(layout), _blocks(layout))
    return x, x if mixed is None else mixed


def fold(layout: Layout, z: Tensor) -> Tensor:
    """The transpose of `frames`: pairs -> gradient by y (items, n_samples)."""
    to_signal = torch.empty(len(z), layout.n_samples, dtype=torch.float32, device=z.device)
    padding = (layout.ends, int(layout.reflect))
    grid = (len(z) * _blocks(layout), 1)
    launch(FOLD, grid, THREADS, z, layout.window, *padding, to_signal, *_size(layout), _blocks(layout))
    return to_signal


def step(
    layout: Layout,
    wanted: Tensor | MelPull,
    signal: Tensor,
    previous: Tensor | None,
    momentum: float,
    inertia: float,
    relaxation: float,
) -> tuple[Tensor, Tensor]:
    """x and t_new, (items, n_samples) each; the same tensor twice where `relaxation` is 1.

    `wanted`: magnitudes (items, frames, n_freqs), or a pull. `previous`: t_prev, None where there is none (y = d = t).
    """
    signal, previous = signal.contiguous(), None if previous is None else previous.contiguous()
    z = torch.fft.fft(frames(layout, signal, previous, momentum))
    project(layout, wanted, z)
    z = torch.fft.ifft(z, norm="forward")  # its 1 / n_fft is in the envelope
    return overlap_add(layout, z, signal, previous, inertia, relaxation)


def project_vjp(
    layout: Layout, magnitude: Tensor, signal: Tensor, previous: Tensor | None, momentum: float, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients by y and by the magnitude, from that by x.

    The spectrum is made again. It and the gradient's go through transforms of their own, so that neither's rounding is seen
    beside the other, whatever the gradient's size.
    """
    signal, previous = signal.contiguous(), None if previous is None else previous.contiguous()
    x = torch.fft.fft(frames(layout, signal, previous, momentum))
    e = torch.fft.fft(adjoint_frames(layout, grad.contiguous()))
    magnitude = magnitude.contiguous()
    to_magnitude = torch.empty_like(magnitude)
    launch(TURN, (x.shape[0] * x.shape[1], 1), THREADS, x, e, magnitude, to_magnitude, layout.n_fft, layout.n_frames)
    del x
    return fold(layout, torch.fft.ifft(e, norm="forward")), to_magnitude
