"""The step of `step_cuda.py` as one CUDA kernel, and the backward of its projection as another.

In plain torch one iteration moves the spectra of all frames through memory several times; the
kernel (`kernels/fused.cu`) moves A and the signals, once. Backward computes the spectra again, as
in `phase/problem.py`: with X = STFT(y), u = X / |X| and G = ISTFTᵀ(g) / c,

    gradient of y = STFTᵀ((A / |X|) (G − u Re(conj(u) G))),    gradient of A = c Re(conj(u) G),

where c is 1 for bins 0 and n_fft / 2, and 2 for all others, which count twice. Two frames share one
complex transform, so a frame gets the rounding errors of its neighbor: 1e-7 of the louder one. A
frame of zeros beside it therefore has angles, where the reference gives silence; a signal of zeros
stays zero.

A step may also update the spectrum toward a mel (`phase/mel_target.py`); that has no backward
here. The reference in plain torch is the same as that of `step_cuda.py`.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.cuda import nvrtc
from torchmelinv.cuda.layout import Layout, MelUpdate
from torchmelinv.cuda.mel_update import padded_bins
from torchmelinv.cuda.nvrtc import Kernel, launch

SIZES = (256, 512, 1024, 2048, 4096)
POINTS = 16  # samples of a frame per thread
MIN_BLOCK = 32  # threads
MAX_SAMPLES = 2**29  # positions have 32 bits, and streams may reach beyond the end
REGISTERS = 65536  # of a multiprocessor


def unsupported_reason(layout: Layout, target: Tensor | MelUpdate | None = None) -> str | None:
    """Return why the fused kernels cannot take this layout and target, or None if they can."""
    n_fft, hop_length, device = layout.n_fft, layout.hop_length, layout.window.device
    if device.type != nvrtc.DEVICE:
        return f"its tensors are on {device.type}"
    if layout.window.dtype != torch.float32:
        return f"it computes in {layout.window.dtype}, the kernel in float32"
    if n_fft not in SIZES:
        return f"n_fft is {n_fft}; the kernel takes {', '.join(map(str, SIZES))}"
    if hop_length % (n_fft // POINTS) or hop_length > n_fft:
        step = n_fft // POINTS
        allowed = f"{step}, {2 * step}, … {n_fft}"
        return f"hop_length is {hop_length}; the kernel takes {allowed} for its n_fft"
    if max(layout.n_samples, hop_length * layout.n_frames) > MAX_SAMPLES:
        return f"a signal of {layout.n_samples} samples is too long for its 32-bit positions"
    largest = nvrtc.max_shared_bytes(device)
    if isinstance(target, MelUpdate) and _shared_bytes(n_fft, target) > largest:
        n_mels = target.values.shape[-1]
        return f"a mel of {n_mels} bands takes more shared memory than there is"
    return None


def _block(n_fft: int) -> int:
    return max(MIN_BLOCK, n_fft // POINTS)


def _shared_bytes(n_fft: int, target: Tensor | MelUpdate) -> int:
    """Return the shared memory of a block: the transforms, and for a mel its bins and bands."""
    threads, words = n_fft // POINTS, 0
    if isinstance(target, MelUpdate):
        # The filterbank input of each bin, its two shares, and the mel with its ratios.
        words = 2 * (padded_bins(n_fft // 2 + 1) + target.values.shape[-1] + 1)
    return _block(n_fft) // threads * 8 * (POINTS * (threads + 1) + words)


def _kernel(
    source: str,
    name: str,
    n_fft: int,
    hop_length: int,
    registers: int,
    defines: tuple[tuple[str, int | float], ...] = (),
) -> Kernel:
    """Return the kernel with a bound on the registers of a thread, so that more blocks fit."""
    blocks = max(1, REGISTERS // (registers * _block(n_fft)))
    sizes = (("N_FFT", n_fft), ("HOP", hop_length), ("MIN_BLOCKS", blocks))
    return Kernel(source, name, (*sizes, *defines))


# Register bounds: the smallest ones without spills, among those that let one more block fit.
def _step_kernel(n_fft: int, hop_length: int) -> Kernel:
    return _kernel("fused.cu", "fused_step", n_fft, hop_length, 128)


def _mel_update_kernel(
    n_fft: int, hop_length: int, n_mels: int, power: float, exponent: float
) -> Kernel:
    # Exponents of 1 and 2 are compiled in; 0 reads them from the arguments.
    compiled = {1.0: 1, 2.0: 2}
    exponents = (("POWER", compiled.get(power, 0)), ("ROOT", compiled.get(1 / exponent, 0)))
    registers = 168 if hop_length < n_fft else 255
    if n_fft > 256 and hop_length >= n_fft // 4 and all(number for _, number in exponents):
        registers = 128
    sizes = (("N_MELS", n_mels), ("PADDED_BINS", padded_bins(n_fft // 2 + 1)))
    return _kernel("fused.cu", "fused_step", n_fft, hop_length, registers, (*sizes, *exponents))


def _backward_kernel(n_fft: int, hop_length: int) -> Kernel:
    registers = 128 if n_fft == 4096 or hop_length == n_fft // 2 else 168
    return _kernel("fused_backward.cu", "fused_backward", n_fft, hop_length, registers)


FOLD, FOLD_BLOCK = Kernel("fold_padding.cu", "fold_padding"), 256


def kernels(n_fft: int, hop_length: int) -> list[Kernel]:
    """Return the kernels of one size for magnitudes, to compile them without a device."""
    return [_step_kernel(n_fft, hop_length), _backward_kernel(n_fft, hop_length), FOLD]


@functools.cache  # unbounded: a CUDA graph may hold the memory of any entry
@outside_inference_mode
def _twiddles(n_fft: int, device: torch.device) -> Tensor:
    """Return exp(−2πi q t / n_fft), q by t, then those of n_fft / 16 for the last stage."""
    threads = n_fft // POINTS
    q = torch.arange(POINTS, dtype=torch.float64)[:, None]
    turns = [q * torch.arange(threads) / n_fft, q * torch.arange(threads // POINTS) / threads]
    angles = -2 * math.pi * torch.cat([turn.flatten() for turn in turns])
    return torch.stack([angles.cos(), angles.sin()], -1).to(torch.float32).to(device)


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    """Return the number of multiprocessors; in emulation that of an H100 or H200."""
    if device.type != "cuda":
        return 132
    return torch.cuda.get_device_properties(device).multi_processor_count


def _streams(
    kernel: Kernel, hops: int, items: int, device: torch.device
) -> tuple[tuple[int, int], int]:
    """Return the grid and the hops per stream, an even number, for one full wave of blocks.

    A stream repeats the frames before its first hop: long streams cost less work, and short ones
    less time if there is little to do. Results do not depend on it, so it may depend on the batch.
    """
    sizes = dict(kernel.defines)
    n_fft = int(sizes["N_FFT"])
    threads, block = n_fft // POINTS, _block(n_fft)
    streams = _multiprocessors(device) * int(sizes["MIN_BLOCKS"]) * block // threads
    run = 2 * max(1, math.ceil(hops / max(1, streams // max(1, items)) / 2))
    return (items, math.ceil(hops / (run * (block // threads)))), run


def _sumsquare_stride(layout: Layout) -> int:
    return layout.n_samples if layout.inverse_sumsquare.ndim == 2 else 0


def step(
    layout: Layout,
    target: Tensor | MelUpdate,
    signal: Tensor,
    previous: Tensor | None,
    alpha: float = 0.0,
    beta: float = 0.0,
    gamma: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return x and t⁺, (items, n_samples) each; they are the same tensor if γ is 1.

    Args:
        layout: The frames of the signals.
        target: Magnitudes (items, frames, n_freqs), 0 in padding frames, or a mel.
        signal: t, (items, n_samples).
        previous: t⁻, or None for y = d = t.
        alpha: Extrapolation α.
        beta: Extrapolation β.
        gamma: Relaxation γ.

    Returns:
        x and t⁺.
    """
    n_fft, hop_length, left = layout.n_fft, layout.hop_length, layout.left
    x = torch.empty_like(signal)
    relaxed = x if gamma == 1 else torch.empty_like(signal)
    # Start at an even frame: pairs of frames are the same wherever streams start.
    first = left // hop_length // 2 * 2
    fields: tuple[Tensor | float, ...]
    if isinstance(target, MelUpdate):
        n_mels, fields = target.values.shape[-1], target
        kernel = _mel_update_kernel(n_fft, hop_length, n_mels, target.power, target.exponent)
    else:
        kernel, fields = _step_kernel(n_fft, hop_length), (target,)
    hops = math.ceil((left + layout.n_samples) / hop_length) - first
    grid, run = _streams(kernel, hops, len(signal), signal.device)
    tables = layout.window, layout.inverse_sumsquare, _twiddles(n_fft, signal.device)
    outputs = x, None if gamma == 1 else relaxed
    factors = float(alpha), float(beta), float(gamma)
    sizes = left, layout.n_frames, layout.n_samples, first, run
    launch(
        kernel, grid, _block(n_fft),
        signal, previous, *tables, layout.n_valid, *outputs, *factors,
        int(layout.reflect), _sumsquare_stride(layout), *sizes, *fields,
        shared_bytes=_shared_bytes(n_fft, target),
    )  # fmt: skip
    return x, relaxed


def project_vjp(
    layout: Layout,
    magnitude: Tensor,
    signal: Tensor,
    previous: Tensor | None,
    alpha: float,
    grad: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to y and A, from that of x; arguments as in `step`."""
    n_fft, hop_length = layout.n_fft, layout.hop_length
    left, n_samples = layout.left, layout.n_samples
    n_padded = hop_length * (layout.n_frames - 1) + n_fft  # the samples that the frames cover
    before, written = (left, n_padded) if layout.reflect else (0, n_samples)
    to_signal, to_magnitude = signal.new_empty(len(signal), written), torch.empty_like(magnitude)
    hops = max(math.ceil((left - before + written) / hop_length), layout.n_frames)
    kernel = _backward_kernel(n_fft, hop_length)
    grid, run = _streams(kernel, hops, len(signal), signal.device)
    tables = layout.window, layout.inverse_sumsquare, _twiddles(n_fft, signal.device)
    sizes = left, layout.n_frames, n_samples, before, written, run
    words = _block(n_fft) * POINTS // n_fft * (2 * n_fft + POINTS + 1)
    launch(
        kernel, grid, _block(n_fft),
        signal, previous, magnitude, grad, *tables, layout.n_valid, to_signal, to_magnitude,
        float(alpha), int(layout.reflect), _sumsquare_stride(layout), *sizes,
        shared_bytes=8 * words,
    )  # fmt: skip
    if not layout.reflect:
        return to_signal, to_magnitude
    folded = torch.empty_like(signal)
    grid = len(signal), min(math.ceil(n_samples / FOLD_BLOCK), 1024)
    launch(FOLD, grid, FOLD_BLOCK, to_signal, layout.n_valid, folded, left, n_padded, n_samples)
    return folded, to_magnitude
