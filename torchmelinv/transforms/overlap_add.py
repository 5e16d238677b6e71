"""Framing a signal and overlap-add: each is the adjoint of the other.

Frames are time-major, (…, frames, n_fft), so that each frame is one contiguous row. A signal of T
frames has hop · (T − 1) + n_fft samples. Overlap-add is one shifted multiply-add per hop inside a
frame, without scatter or host sync, so the order of its sums is fixed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _FrameSignal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, window: Tensor, hop_length: int) -> Tensor:
        ctx.window, ctx.hop_length = window, hop_length
        return signal.unfold(-1, window.shape[-1], hop_length) * window

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None, None]:
        return overlap_add(grad[0], ctx.window, ctx.hop_length), None, None


class _OverlapAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
        ctx.window, ctx.hop_length = window, hop_length
        *items, n_frames, n_fft = frames.shape
        if frames.is_cuda:
            size = [*items, hop_length * (n_frames - 1) + n_fft]
            windowed = frames * window
            return torch.ops.aten.unfold_backward(windowed, size, len(items), n_fft, hop_length)
        shifts = -(-n_fft // hop_length)
        total = frames.new_zeros(*items, n_frames + shifts - 1, hop_length)
        for shift in range(shifts):
            part = slice(shift * hop_length, min((shift + 1) * hop_length, n_fft))
            rows = total[..., shift : shift + n_frames, : part.stop - part.start]
            rows.addcmul_(frames[..., part], window[part])
        return total.flatten(-2)[..., : hop_length * (n_frames - 1) + n_fft]

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None, None]:
        return frame_signal(grad[0], ctx.window, ctx.hop_length), None, None


def frame_signal(signal: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Return the windowed frames of a signal: (…, hop · (T − 1) + n_fft) -> (…, T, n_fft)."""
    return _FrameSignal.apply(signal, window, hop_length)


def overlap_add(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Window frames and add them up: (…, T, n_fft) -> (…, hop · (T − 1) + n_fft)."""
    return _OverlapAdd.apply(frames, window, hop_length)
