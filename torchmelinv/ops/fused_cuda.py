"""The step of `step_cuda.py` as one CUDA kernel, and the way back of its projection as another.

Through torch's operations one iteration moves the spectra of all frames through memory several times; the kernel
(`kernels/fused.cu`) moves A and the signals, once. Spectra are made again on the way back, as in `phase/method.py`:

    g by y = STFTᵀ((A / |X|) (G − u Re(conj(u) G))),    g by A = c Re(conj(u) G),    X = STFT(y), u = X / |X|, G = ISTFTᵀ(g) / c,

where c is 1 for bins 0 and n_fft / 2 and 2 for all others, which stand for two. Two frames share one complex transform, so that a
frame's spectrum carries the rounding errors of its neighbour: 1e-7 of the louder one. Beside it a frame of nothing but zeros has
angles, where the reference leaves silence; a signal of nothing but zeros stays one.

In the place of imposing a magnitude a step may pull towards a mel (`joint/mel_target.py`); that has no way back here.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv.ops import nvrtc
from torchmelinv.ops.layout import Layout, MelPull
from torchmelinv.ops.mel_pull import seen_bins
from torchmelinv.ops.nvrtc import Kernel, launch
from torchmelinv.ops.precision import lasting

SIZES = (256, 512, 1024, 2048, 4096)
POINTS = 16  # samples of a frame that one thread holds
SMALLEST_BLOCK = 32  # threads
LONGEST = 2**29  # samples; positions are counted in 32 bits, and streams may reach beyond the end
REGISTERS = 65536  # of a multiprocessor


def why_not(layout: Layout, wanted: Tensor | MelPull | None = None) -> str | None:
    """What keeps this layout, or what is wanted of its spectra, from the fused kernels, if anything does."""
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
    if isinstance(wanted, MelPull) and _shared_bytes(layout.n_fft, wanted) > nvrtc.most_shared_bytes(layout.window.device):
        return f"a mel of {wanted.values.shape[-1]} bands takes more shared memory than there is"
    return None


def _block(n_fft: int) -> int:
    return max(SMALLEST_BLOCK, n_fft // POINTS)


def _shared_bytes(n_fft: int, wanted: Tensor | MelPull) -> int:
    """Of a block of the step: for the transforms, and for what is seen of the bins, the two shares of each, and of the mel."""
    threads = n_fft // POINTS
    bins = seen_bins(n_fft // 2 + 1) + wanted.values.shape[-1] + 1 if isinstance(wanted, MelPull) else 0
    return _block(n_fft) // threads * 8 * (POINTS * (threads + 1) + 2 * bins)


def _kernel(
    source: str, name: str, n_fft: int, hop_length: int, registers: int, more: tuple[tuple[str, int | float], ...] = ()
) -> Kernel:
    """The kernel with at most so many registers a thread; as many blocks then fit a multiprocessor."""
    blocks = max(1, REGISTERS // (registers * _block(n_fft)))
    return Kernel(source, name, (("N_FFT", n_fft), ("HOP", hop_length), ("MIN_BLOCKS", blocks), *more))


# The fewest registers that cost no spills, of those that let one block more in.
def _step_kernel(n_fft: int, hop_length: int) -> Kernel:
    return _kernel("fused.cu", "fused_step", n_fft, hop_length, 128)


def _pull_kernel(n_fft: int, hop_length: int, n_mels: int, power: float, exponent: float) -> Kernel:
    known = {1.0: 1, 2.0: 2}
    kind = (("POWER", known.get(power, 0)), ("ROOT", known.get(1 / exponent, 0)))
    usual = n_fft > 256 and hop_length >= n_fft // 4 and all(number for _, number in kind)
    registers = 128 if usual else 168 if hop_length < n_fft else 255
    sizes = (("N_MELS", n_mels), ("SEEN", seen_bins(n_fft // 2 + 1)))
    return _kernel("fused.cu", "fused_step", n_fft, hop_length, registers, (*sizes, *kind))


def _backward_kernel(n_fft: int, hop_length: int) -> Kernel:
    registers = 128 if n_fft == 4096 or hop_length == n_fft // 2 else 168
    return _kernel("fused_backward.cu", "fused_backward", n_fft, hop_length, registers)


FOLD, FOLD_BLOCK = Kernel("fold_padding.cu", "fold_padding"), 256


def kernels(n_fft: int, hop_length: int) -> list[Kernel]:
    """All that may be launched for one size."""
    return [_step_kernel(n_fft, hop_length), _backward_kernel(n_fft, hop_length), FOLD]


@functools.cache  # a graph may hold the memory of any of them
@lasting
def _twiddles(n_fft: int, device: torch.device) -> Tensor:
    """exp(−2πi q t / n_fft), q by t; then exp(−2πi q t / (n_fft / 16)) for the t that the last stage sees: (…, 2)."""
    threads = n_fft // POINTS
    q = torch.arange(POINTS, dtype=torch.float64)[:, None]
    turns = [q * torch.arange(threads) / n_fft, q * torch.arange(threads // POINTS) / threads]
    angles = -2 * math.pi * torch.cat([turn.flatten() for turn in turns])
    return torch.stack([angles.cos(), angles.sin()], -1).to(torch.float32).to(device)


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    """How many there are to be filled; elsewhere than on a CUDA device, as many as an H100 or H200 has."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 132


def _streams(kernel: Kernel, hops: int, items: int, device: torch.device) -> tuple[tuple[int, int], int]:
    """The grid, and how many hops a stream owns: an even number, such that one wave of blocks fills the device.

    A stream repeats the frames before its own, so that long runs cost less work and short ones less time while there is little
    to do. Results do not depend on it: it may follow the batch.
    """
    sizes = dict(kernel.defines)
    n_fft, threads = int(sizes["N_FFT"]), int(sizes["N_FFT"]) // POINTS
    at_work = _multiprocessors(device) * int(sizes["MIN_BLOCKS"]) * _block(n_fft) // threads
    run = 2 * max(1, math.ceil(hops / max(1, at_work // max(1, items)) / 2))
    return (items, math.ceil(hops / (run * (_block(n_fft) // threads)))), run


def _envelope_stride(layout: Layout) -> int:
    return layout.n_samples if layout.inverse_envelope.ndim == 2 else 0


def step(
    layout: Layout,
    wanted: Tensor | MelPull,
    signal: Tensor,
    previous: Tensor | None,
    momentum: float = 0.0,
    inertia: float = 0.0,
    relaxation: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """(x, next), of signals (items, n_samples) and either A (items, frames, n_freqs), 0 in frames that do not exist, or a pull.

    Without `previous` momentum and inertia count as 0. With relaxation 1 next is x, the same tensor.
    """
    n_fft, hop_length = layout.n_fft, layout.hop_length
    projected = torch.empty_like(signal)
    following = projected if relaxation == 1 else torch.empty_like(signal)
    first = layout.left // hop_length // 2 * 2  # pairs of frames are the same wherever streams start: from an even one on
    if isinstance(wanted, MelPull):
        kernel = _pull_kernel(n_fft, hop_length, wanted.values.shape[-1], wanted.power, wanted.exponent)
    else:
        kernel = _step_kernel(n_fft, hop_length)
    hops = math.ceil((layout.left + layout.n_samples) / hop_length) - first
    grid, run = _streams(kernel, hops, len(signal), signal.device)
    launch(
        kernel, grid, _block(n_fft),
        signal, previous, layout.window, layout.inverse_envelope, _twiddles(n_fft, signal.device), layout.ends,
        projected, None if relaxation == 1 else following, float(momentum), float(inertia), float(relaxation),
        int(layout.reflect), _envelope_stride(layout), layout.left, layout.n_frames, layout.n_samples, first, run,
        *(wanted if isinstance(wanted, MelPull) else (wanted,)), shared_bytes=_shared_bytes(n_fft, wanted),
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
    grid, run = _streams(kernel, hops, len(signal), signal.device)
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
