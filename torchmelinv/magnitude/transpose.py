"""The transposed filterbank, normalized: each bin interpolates the mean densities of its bands."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv._utils.batching import map_batch
from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.table_cache import cached_table
from torchmelinv._utils.validation import check_features
from torchmelinv.transforms.constant_matrix import ConstantMatrix
from torchmelinv.transforms.mel_filterbank import MelFilterbank

__all__ = ["transpose"]


@full_precision
def transpose(linear_mel: Tensor, filterbank: MelFilterbank) -> Tensor:
    """Interpolate the mel as a smooth spectral envelope: s = Mᵀ(m / M1) / Mᵀ1.

    m / M1 is the mean density within each band. A bin gets the average density of its bands,
    weighted by how much it feeds them; bins that no filter covers get 0. The result does not have
    the mel: it is the starting point and the prior of the other methods. It costs one banded
    product.

    Args:
        linear_mel: Linear mel (…, n_mels, n_frames), at least 0.
        filterbank: The mel filterbank.

    Returns:
        Linear spectrogram |STFT|^power (…, n_freqs, n_frames), at least 0.

    Raises:
        InputError: If the mel has another shape or dtype.

    Shape:
        - linear_mel: (…, n_mels, n_frames)
        - output: (…, n_freqs, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.transpose import transpose
        >>> filterbank = tmi.MelFilterbank("hifigan_22k")
        >>> transpose(torch.rand(80, 4), filterbank).shape
        torch.Size([513, 4])
    """
    linear_mel = check_features(linear_mel, "mel", filterbank.n_mels)
    per_band, per_bin = _inverse_sums(filterbank.matrix, linear_mel)
    items = (linear_mel * per_band).reshape(-1, *linear_mel.shape[-2:])
    # Item by item, because it is the prior of methods whose items are bit for bit independent.
    (spectrum,) = map_batch(lambda each: (filterbank.adjoint(each),), items)
    return spectrum.reshape(*linear_mel.shape[:-2], *spectrum.shape[-2:]) * per_bin


@cached_table
def _inverse_sums(matrix: ConstantMatrix, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Return 1 / M1 (n_mels, 1) and 1 / Mᵀ1 (n_freqs, 1), 0 where a sum is 0."""
    sums = matrix.table.sum(1, keepdim=True), matrix.table.sum(0)[:, None]
    return [safe_divide(torch.ones_like(each), each).to(dtype).to(device) for each in sums]
