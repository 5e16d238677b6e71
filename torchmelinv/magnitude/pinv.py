"""The pseudo-inverse, clipped: the smallest spectrum with the mel, without its negative part."""

from __future__ import annotations

from torch import Tensor

from torchmelinv.transforms.mel_filterbank import LinearMap

__all__ = ["pinv"]


def pinv(linear_mel: Tensor, filterbank: LinearMap) -> Tensor:
    """Apply the pseudo-inverse of the filterbank and clip at 0: s = max(0, M⁺ m).

    M⁺ leaves out singular values below 1e-4 of the largest. About a fifth of the weights of M⁺ are
    negative, so clipping costs consistency: on speech the mel of the result is off by 4 to 11 %. It
    costs one product, dense because M⁺ is.

    Args:
        linear_mel: Linear mel (…, n_mels, n_frames).
        filterbank: The mel filterbank, or any other linear map.

    Returns:
        Linear spectrogram |STFT|^power (…, n_freqs, n_frames), at least 0.

    Raises:
        InputError: If the mel has another shape or dtype.

    Shape:
        - linear_mel: (…, n_mels, n_frames)
        - output: (…, n_freqs, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.pinv import pinv
        >>> filterbank = tmi.MelFilterbank("hifigan_22k")
        >>> pinv(torch.rand(80, 4), filterbank).shape
        torch.Size([513, 4])
    """
    return filterbank.pinv(linear_mel).relu()
