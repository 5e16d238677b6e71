"""How large a gradient is that passes through an inversion: to choose `gradient=` and the number of iterations by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.ops.checks import as_real, check_whole
from torchmelinv.ops.precision import full_precision


@full_precision
def gradient_norm(function: Callable[[Tensor], Tensor], mel: Tensor, *, seed: int = 0) -> Tensor:
    """‖Jᵀv‖ / ‖y‖ of y = function(mel), with J = ∂y/∂mel and white noise v of variance 1: mel (…, n_mels, n_frames) -> (…).

    `function` is a `MelInverter`, or anything else from mels to waveforms (…, n_samples) whose items are independent. The answer
    estimates ‖J‖ / ‖y‖ in the Frobenius norm: how far the waveform moves, as part of its own norm, for each unit of noise on
    every value of the mel. It depends neither on loudness (for logarithmic mels) nor on length. Near 1 a training step is tame;
    in the tens an optimiser should be given fewer iterations, the last k of them, less momentum or `phase_detached`. 0 where no
    gradient passes or the waveform is silent. v is a function of `seed` and the sample alone. One forward and one backward, also
    under `no_grad` and in inference mode.
    """
    check_whole("seed", seed)
    with torch.inference_mode(False), torch.enable_grad():
        return _of_noise(function, as_real(mel, "mel").detach().clone().requires_grad_(), seed)


def _of_noise(function: Callable[[Tensor], Tensor], leaf: Tensor, seed: int) -> Tensor:
    """`gradient_norm` by a leaf, where gradients are on."""
    waveform = function(leaf)
    if not isinstance(waveform, Tensor) or waveform.shape[:-1] != leaf.shape[:-2]:
        came = f"shape {tuple(waveform.shape)}" if isinstance(waveform, Tensor) else type(waveform).__name__
        raise InputError(f"function gave {came} for a mel of shape {tuple(leaf.shape)}; it must give waveforms (…, n_samples)")
    if not waveform.requires_grad:
        return leaf.new_zeros(leaf.shape[:-2])
    noise = torch.randn(waveform.shape[-1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(waveform, leaf, noise.to(waveform).expand_as(waveform))
    norm = torch.linalg.vector_norm(gradient, dim=(-2, -1))
    size = torch.linalg.vector_norm(waveform.detach(), dim=-1)
    return torch.where(size > 0, norm / torch.where(size > 0, size, 1), 0)
