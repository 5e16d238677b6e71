"""Mel-frequency cepstral coefficients (Davis and Mermelstein 1980), and back to the mel.

In each frame, with x the log mel over the bands,

    C = diag(w) D x,    x = Dᵀ diag(1 / w) C.

D (n_mfcc, n_mels) holds the first rows of the orthonormal DCT-II (Ahmed, Natarajan and Rao 1974).
w holds the lifter and, without `norm`, twice the length of each cosine. Missing coefficients count
as 0, so the result is the projection of the log mel on the n_mfcc slowest cosines, which is smooth
over the bands. Each direction is one product, n_mfcc · n_mels multiplications per frame.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv._utils.batching import map_batch
from torchmelinv._utils.precision import full_precision, outside_inference_mode
from torchmelinv._utils.table_cache import to_device
from torchmelinv._utils.validation import check_features, check_whole
from torchmelinv.conventions import MfccConvention
from torchmelinv.conventions.mfcc_convention import DCT_NORMS
from torchmelinv.errors import InputError
from torchmelinv.transforms.mel_checks import check_mel_shape


def dct_cosines(n_rows: int, n: int) -> Tensor:
    """Return cos(π k (j + ½) / n) in float64: the first rows k of an unnormalized DCT-II of n."""
    order = torch.arange(n_rows, dtype=torch.float64)
    return (math.pi / n * order[:, None] * (torch.arange(n) + 0.5)).cos()


@functools.lru_cache(maxsize=16)
@outside_inference_mode
def _tables(convention: MfccConvention) -> tuple[Tensor, Tensor]:
    """Return diag(w) D (n_mfcc, n_mels) and Dᵀ diag(1 / w) (n_mels, n_mfcc); 1 / 0 counts as 0.

    Both are in float64 on the CPU.
    """
    n_mels, half = convention.mel.n_mels, convention.lifter / 2
    order = torch.arange(convention.n_mfcc, dtype=torch.float64)
    cosines = dct_cosines(convention.n_mfcc, n_mels)
    # √n_mels for the constant, √(n_mels / 2) for the others
    norms = cosines.square().sum(1).sqrt()
    weights = torch.ones_like(order) if convention.norm == "ortho" else 2 * norms
    if half > 0:
        angle = math.pi * (order + convention.lifter_start) / convention.lifter
        weights = weights * (1 + half * angle.sin())
    # Not `safe_divide`: a long lifter has weights below 0.
    inverse_weights = torch.where(weights == 0, 0, 1 / weights)
    rows = cosines / norms[:, None]
    return weights[:, None] * rows, (inverse_weights[:, None] * rows).T


@outside_inference_mode
def inverse_dct(n: int, dct_type: int = 2, norm: str | None = "ortho") -> Tensor:
    """Return the inverse of a discrete cosine transform as a matrix.

    Args:
        n: Number of coefficients, at least 1 (type 1: at least 2).
        dct_type: Type 1, 2 or 3.
        norm: ``"ortho"`` or None, as in scipy.

    Returns:
        Matrix (n, n) in float64 on the CPU.

    Raises:
        InputError: If an argument is outside these values.
    """
    if dct_type not in (1, 2, 3) or norm not in DCT_NORMS:
        raise InputError(
            f"the DCT is of type {dct_type!r} with norm {norm!r}; "
            "it must be 1, 2 or 3, with 'ortho' or None"
        )
    check_whole("n", n, 2 if dct_type == 1 else 1)
    index = torch.arange(n, dtype=torch.float64)
    if dct_type == 1:
        halved = torch.where((index == 0) | (index == n - 1), 0.5, 1).double()
        matrix = 2 * (math.pi / (n - 1) * index[:, None] * index).cos() * halved
        orthonormal = matrix / halved.sqrt() * halved.sqrt()[:, None] / math.sqrt(2 * (n - 1))
    else:
        matrix = 2 * dct_cosines(n, n)
        orthonormal = matrix / matrix.norm(dim=1, keepdim=True)
        if dct_type == 3:
            matrix, orthonormal = matrix.T * torch.where(index == 0, 0.5, 1), orthonormal.T
    return orthonormal.T if norm == "ortho" else torch.linalg.inv(matrix)


def _product(table: Tensor, values: Tensor) -> Tensor:
    """Return table (rows, columns) times values (…, columns, n_frames).

    On the CPU item by item, so that the batch does not change the rounding.
    """
    table = to_device(table, values.dtype, values.device)
    items = values.reshape(-1, *values.shape[-2:])
    (products,) = map_batch(lambda item: (table @ item,), items)
    return products.reshape(*values.shape[:-2], *products.shape[-2:])


@full_precision
def mel_to_mfcc(mel: Tensor, convention: MfccConvention) -> Tensor:
    """Return the MFCCs of a mel spectrogram; documented in `functional.mel_to_mfcc`."""
    return _product(_tables(convention)[0], check_mel_shape(mel, convention.mel))


@full_precision
def mfcc_to_mel(mfcc: Tensor, convention: MfccConvention) -> Tensor:
    """Return the smooth mel spectrogram of MFCCs; documented in `functional.mfcc_to_mel`."""
    return _product(_tables(convention)[1], check_features(mfcc, "mfcc", convention.n_mfcc))
