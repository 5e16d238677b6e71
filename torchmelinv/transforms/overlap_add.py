"""Framing a signal and overlap-add: each is the adjoint of the other.

Frames are time-major, (…, frames, n_fft), so that each frame is one contiguous row. A signal of T
frames has hop · (T − 1) + n_fft samples. Overlap-add is one shifted multiply-add per hop inside a
frame; on CUDA it is one kernel of torch, the backward of `unfold`. Neither scatters or waits for
the device, and the order of the sums is fixed.

Traced graphs get operations without in-place steps, whose derivatives are again such sums: that of
`unfold` would be a scatter, and `torch.compile` supports no `jvp` of an autograd Function.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.tracing import apply_function, is_traced


class _Linear(torch.autograd.Function):
    """A map that is linear in its first argument; windows are constants."""

    @classmethod
    def vmap(
        cls, info: Any, in_dims: tuple[int, ...], values: Tensor, *constants: Any
    ) -> tuple[Tensor, int]:
        return cls.apply(values.movedim(in_dims[0], 0), *constants), 0

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        _, window, ctx.hop_length = inputs
        ctx.save_for_backward(window)
        ctx.save_for_forward(window)


class _FrameSignal(_Linear):
    @staticmethod
    def forward(signal: Tensor, window: Tensor, hop_length: int) -> Tensor:
        return signal.unfold(-1, window.shape[-1], hop_length) * window

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None, None]:
        (window,) = ctx.saved_tensors
        return overlap_add(grad[0], window, ctx.hop_length), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (window,) = ctx.saved_tensors
        return frame_signal(tangents[0], window, ctx.hop_length)


class _OverlapAdd(_Linear):
    @staticmethod
    def forward(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
        *items, n_frames, n_fft = frames.shape
        if frames.is_cuda:
            size = [*items, hop_length * (n_frames - 1) + n_fft]
            windowed = frames * window
            return torch.ops.aten.unfold_backward(windowed, size, len(items), n_fft, hop_length)
        parts = _hops(window, hop_length)
        total = frames.new_zeros(*items, n_frames + len(parts) - 1, hop_length)
        for shift, part in enumerate(parts):
            rows = total[..., shift : shift + n_frames, : part.stop - part.start]
            rows.addcmul_(frames[..., part], window[part])
        return total.flatten(-2)[..., : hop_length * (n_frames - 1) + n_fft]

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None, None]:
        (window,) = ctx.saved_tensors
        return frame_signal(grad[0], window, ctx.hop_length), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (window,) = ctx.saved_tensors
        return overlap_add(tangents[0], window, ctx.hop_length)


def _hops(window: Tensor, hop_length: int) -> list[slice]:
    """Return the parts of a frame that a hop covers each."""
    n_fft = len(window)
    return [slice(i, min(i + hop_length, n_fft)) for i in range(0, n_fft, hop_length)]


def _frame_plainly(signal: Tensor, window: Tensor, hop_length: int) -> Tensor:
    parts = _hops(window, hop_length)
    n_hops = (signal.shape[-1] - len(window)) // hop_length + len(parts)
    missing = len(parts) * hop_length - len(window)
    hops = (pad(signal, (0, missing)) if missing else signal).unflatten(-1, (n_hops, hop_length))
    n_frames = n_hops - len(parts) + 1
    frames = [hops[..., i : i + n_frames, :] for i in range(len(parts))]
    return torch.cat(frames, -1)[..., : len(window)] * window


def _overlap_add_plainly(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    parts = _hops(window, hop_length)
    total = torch.zeros_like(frames[..., :1, :1])
    for i, part in enumerate(parts):
        rows = frames[..., part] * window[part]
        missing = hop_length - rows.shape[-1]
        total = total + pad(rows, (0, missing, i, len(parts) - 1 - i))
    return total.flatten(-2)[..., : hop_length * (frames.shape[-2] - 1) + len(window)]


def frame_signal(signal: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Return the windowed frames of a signal: (…, hop · (T − 1) + n_fft) -> (…, T, n_fft)."""
    if is_traced(signal):
        return _frame_plainly(signal, window, hop_length)
    return apply_function(_FrameSignal, signal, window, hop_length)


def overlap_add(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Window frames and add them up: (…, T, n_fft) -> (…, hop · (T − 1) + n_fft)."""
    if is_traced(frames):
        return _overlap_add_plainly(frames, window, hop_length)
    return apply_function(_OverlapAdd, frames, window, hop_length)
