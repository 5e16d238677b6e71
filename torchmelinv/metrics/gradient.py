"""The size of a gradient that passes through an inversion."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.table_cache import to_device
from torchmelinv._utils.validation import check_real, check_whole
from torchmelinv.errors import InputError

__all__ = ["gradient_norm"]


@named_options
@full_precision
def gradient_norm(function: Callable[[Tensor], Tensor], mel: Tensor, *, seed: int = 0) -> Tensor:
    """Estimate the relative sensitivity of a waveform to noise on its mel.

    For y = function(mel), J = ∂y/∂mel and white noise v of variance 1, this is ‖Jᵀv‖ / ‖y‖, an
    estimate of ‖J‖_F / ‖y‖. It depends neither on loudness (for logarithmic mels) nor on length. It
    helps to choose `gradient` and `n_iter` of an inverter: near 1, a training step is stable; above
    10, use fewer iterations, a gradient through the last k of them, less momentum, or
    ``"phase_detached"``.

    One forward and one backward, also under ``torch.no_grad`` and in inference mode.

    Args:
        function: A `MelInverter`, or another function from mels (…, n_mels, n_frames) to waveforms
            (…, n_samples) whose items are independent. For a padded batch, a function that gives
            the inverter its `lengths`.
        mel: Mel (…, n_mels, n_frames).
        seed: Seed of the noise v, which depends on the seed and the sample alone.

    Returns:
        Sensitivity of each item, (…); 0 where no gradient passes or the waveform is silent.

    Raises:
        InputError: If the mel is not real floating point, or the function returns no waveforms.

    Shape:
        - mel: (…, n_mels, n_frames)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(2, 11025))
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=2)
        >>> tmi.metrics.gradient_norm(inverter, mel).shape
        torch.Size([2])
    """
    check_whole("seed", seed)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = check_real(mel, "mel").detach().clone().requires_grad_()
        return _leaf_gradient_norm(function, leaf, seed)


def _leaf_gradient_norm(function: Callable[[Tensor], Tensor], leaf: Tensor, seed: int) -> Tensor:
    """Return the sensitivity for a leaf that requires a gradient, while gradients are enabled."""
    waveform = function(leaf)
    if not isinstance(waveform, Tensor) or waveform.shape[:-1] != leaf.shape[:-2]:
        result = type(waveform).__name__
        if isinstance(waveform, Tensor):
            result = f"shape {tuple(waveform.shape)}"
        raise InputError(
            f"function returned {result} for a mel of shape {tuple(leaf.shape)}; "
            "it must return waveforms (…, n_samples)"
        )
    if not waveform.requires_grad:
        return leaf.new_zeros(leaf.shape[:-2])
    generator = torch.Generator().manual_seed(seed)
    n_samples = waveform.shape[-1]
    # torch draws the last 16 numbers anew where their count is no multiple of 16.
    n_drawn = -(-n_samples // 16) * 16
    noise = torch.randn(n_drawn, generator=generator, dtype=torch.float64)[:n_samples]
    direction = to_device(noise, waveform.dtype, waveform.device).expand_as(waveform)
    (gradient,) = torch.autograd.grad(waveform, leaf, direction)
    gradient_size = torch.linalg.vector_norm(gradient, dim=(-2, -1))
    return safe_divide(gradient_size, torch.linalg.vector_norm(waveform.detach(), dim=-1))
