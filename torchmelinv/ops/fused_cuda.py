"""One step of Griffin-Lim, plain, fast or accelerated, as one CUDA kernel, and the way back of its projection as another.

With signals t and t_prev of the last two steps, y = t + momentum (t − t_prev) and d = t + inertia (t − t_prev), the step is

    x = ISTFT(A · STFT(y) / |STFT(y)|),    next = d + relaxation (x − d).

Griffin and Lim (1984); Perraudin, Balazs and Søndergaard (2013) for the momentum; Nenov, Nguyen and Balazs (2023) for all three
numbers. Through torch's operations one iteration moves the spectra of all frames through memory several times; the kernel
(`kernels/fused.cu`) moves A and the signals, once. Spectra are made again on the way back, as in `phase/method.py`:

    g by y = STFTᵀ((A / |X|) (G − u Re(conj(u) G))),    g by A = c Re(conj(u) G),    X = STFT(y), u = X / |X|, G = ISTFTᵀ(g) / c,

where c is 1 for bins 0 and n_fft / 2 and 2 for all others, which stand for two. Two frames share one complex transform, so that a
frame's spectrum carries the rounding errors of its neighbour: 1e-7 of the louder one. Beside it a frame of nothing but zeros has
angles, where the reference leaves silence; a signal of nothing but zeros stays one.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv.ops import nvrtc
from torchmelinv.ops.layout import Layout
from torchmelinv.ops.nvrtc import Kernel, launch
from torchmelinv.ops.precision import lasting

SIZES = (256, 512, 1024, 2048, 4096)
POINTS = 16  # samples of a frame that one thread holds
SMALLEST_BLOCK = 32  # threads
LONGEST = 2**29  # samples; positions are counted in 32 bits, and streams may reach beyond the end
REGISTERS = 65536  # of a multiprocessor
MULTIPROCESSORS = 132  # of an H100 or H200, which are to be filled


def why_not(layout: Layout) -> str | None:
    """What keeps this layout from the fused kernels, if anything does."""
    if layout.window.device.type != nvrtc.DEVICE:
        return f"its tensors are on {layout.window.device.type}"
    if layout.window.dtype != torch.float32:
        return f"it computes in {layout.window.dtype}, the kernel in float32"
    if layout.n_fft not in SIZES:
        return f"n_fft is {layout.n_fft}; the kernel takes {', '.join(map(str, SIZES))}"
    if layout.hop_length % (layout.n_fft // POINTS) or layout.hop_length > layout.n_fft:
        step = layout.n_fft // POINTS
        return f"hop_length is {layout.hop_length}; the kernel takes {step}, {2 * step}, … {layout.n_fft} for its n_fft"
    if max(layout.n_samples, layout.hop_length * layout.n_frames) > LONGEST:
        return f"a signal of {layout.n_samples} samples is too long for its 32-bit positions"
    return None


def _block(n_fft: int) -> int:
    return max(SMALLEST_BLOCK, n_fft // POINTS)


def _kernel(source: str, name: str, n_fft: int, hop_length: int, registers: int) -> Kernel:
    """The kernel with at most so many registers a thread; as many blocks then fit a multiprocessor."""
    blocks = max(1, REGISTERS // (registers * _block(n_fft)))
    return Kernel(source, name, (("N_FFT", n_fft), ("HOP", hop_length), ("MIN_BLOCKS", blocks)))


# The fewest registers that cost no spills: long hops finish more samples at once, and of short ones more are under way.
def _step_kernel(n_fft: int, hop_length: int) -> Kernel:
    registers = 128 if hop_length <= n_fft // 2 else 168 if hop_length < n_fft else 255
    return _kernel("fused.cu", "fused_step", n_fft, hop_length, registers)


def _backward_kernel(n_fft: int, hop_length: int) -> Kernel:
    return _kernel("fused_backward.cu", "fused_backward", n_fft, hop_length, 168 if hop_length >= n_fft // 4 else 255)


FOLD, FOLD_BLOCK = Kernel("fold_padding.cu", "fold_padding"), 256


def kernels(n_fft: int, hop_length: int) -> list[Kernel]:
    """All that may be launched for one size."""
    return [_step_kernel(n_fft, hop_length), _backward_kernel(n_fft, hop_length), FOLD]


@functools.lru_cache(maxsize=16)
@lasting
def _twiddles(n_fft: int, device: torch.device) -> Tensor:
    """exp(−2πi q t / n_fft), q by t; then exp(−2πi q t / (n_fft / 16)) for the t that the last stage sees: (…, 2)."""
    threads = n_fft // POINTS
    q = torch.arange(POINTS, dtype=torch.float64)[:, None]
    turns = [q * torch.arange(threads) / n_fft, q * torch.arange(threads // POINTS) / threads]
    angles = -2 * math.pi * torch.cat([turn.flatten() for turn in turns])
    return torch.stack([angles.cos(), angles.sin()], -1).to(torch.float32).to(device)


def _streams(kernel: Kernel, hops: int, items: int) -> tuple[tuple[int, int], int]:
    """The grid, and how many hops a stream owns: an even number, such that one wave of blocks fills the device.

    A stream repeats the frames before its own, so that long runs cost less work and short ones less time while there is little
    to do. Results do not depend on it: it may follow the batch.
    """
    sizes = dict(kernel.defines)
    n_fft, threads = int(sizes["N_FFT"]), int(sizes["N_FFT"]) // POINTS
    at_work = MULTIPROCESSORS * int(sizes["MIN_BLOCKS"]) * _block(n_fft) // threads
    run = 2 * math.ceil(hops * items / at_work / 2)
    return (items, math.ceil(hops / (run * (_block(n_fft) // threads)))), run


def _envelope_stride(layout: Layout) -> int:
    return layout.n_samples if layout.inverse_envelope.ndim == 2 else 0


def step(
    layout: Layout,
    magnitude: Tensor,
    signal: Tensor,
    previous: Tensor | None,
    momentum: float = 0.0,
    inertia: float = 0.0,
    relaxation: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """(x, next), of signals (items, n_samples) and A (items, frames, n_freqs), 0 in frames that do not exist.

    Without `previous` momentum and inertia count as 0. With relaxation 1 next is x, the same tensor.
    """
    n_fft, hop_length = layout.n_fft, layout.hop_length
    projected = torch.empty_like(signal)
    following = projected if relaxation == 1 else torch.empty_like(signal)
    first = layout.left // hop_length // 2 * 2  # pairs of frames are the same wherever streams start: from an even one on
    kernel = _step_kernel(n_fft, hop_length)
    grid, run = _streams(kernel, math.ceil((layout.left + layout.n_samples) / hop_length) - first, len(signal))
    launch(
        kernel, grid, _block(n_fft),
        signal, previous, magnitude, layout.window, layout.inverse_envelope, _twiddles(n_fft, signal.device), layout.ends,
        projected, None if relaxation == 1 else following, float(momentum), float(inertia), float(relaxation),
        int(layout.reflect), _envelope_stride(layout), layout.left, layout.n_frames, layout.n_samples, first, run,
    )  # fmt: skip
    return projected, following


def project_vjp(
    layout: Layout, magnitude: Tensor, signal: Tensor, previous: Tensor | None, momentum: float, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients by y and by A, from that by x; the other arguments are those of `step`."""
    n_fft, hop_length, left, n_samples = layout.n_fft, layout.hop_length, layout.left, layout.n_samples
    reach = hop_length * (layout.n_frames - 1) + n_fft  # of the frames, in padded samples
    before, written = (left, reach) if layout.reflect else (0, n_samples)
    to_signal, to_magnitude = signal.new_empty(len(signal), written), torch.empty_like(magnitude)
    hops = max(math.ceil((left - before + written) / hop_length), layout.n_frames)
    kernel = _backward_kernel(n_fft, hop_length)
    grid, run = _streams(kernel, hops, len(signal))
    words = _block(n_fft) * POINTS // n_fft * (2 * n_fft + POINTS + 1)
    launch(
        kernel, grid, _block(n_fft),
        signal, previous, magnitude, grad, layout.window, layout.inverse_envelope, _twiddles(n_fft, signal.device), layout.ends,
        to_signal, to_magnitude, float(momentum), int(layout.reflect), _envelope_stride(layout),
        left, layout.n_frames, n_samples, before, written, run, shared_bytes=8 * words,
    )  # fmt: skip
    if not layout.reflect:
        return to_signal, to_magnitude
    folded = torch.empty_like(signal)
    blocks = min(math.ceil(n_samples / FOLD_BLOCK), 1024)
    launch(FOLD, (len(signal), blocks), FOLD_BLOCK, to_signal, layout.ends, folded, left, reach, n_samples)
    return folded, to_magnitude
