"""Mel-frequency cepstral coefficients (Davis & Mermelstein 1980): forward, and back to the mel.

Over the bands of the log mel x, in each frame, C = diag(w) D x, where D (n_mfcc, n_mels) are the first rows of the orthonormal
DCT-II (Ahmed, Natarajan & Rao 1974) and w holds the lifter and, without `norm`, twice the length of each cosine. Back,
x = Dᵀ diag(1 / w) C: coefficients that are missing count as zero, so that x is the projection of the log mel on the slowest
n_mfcc cosines, smooth over the bands. Both ways are one product, n_mfcc · n_mels multiplications a frame.
"""

from __future__ import annotations

import functools
import math
import os

import torch
from torch import Tensor

from torchmelinv.conventions import DCT_NORMS, MfccConvention
from torchmelinv.door import check_shape
from torchmelinv.errors import InputError
from torchmelinv.interchange import as_mfcc_convention
from torchmelinv.level import expand
from torchmelinv.ops.checks import as_rows, check_whole
from torchmelinv.ops.items import over_items
from torchmelinv.ops.precision import full_precision, lasting


@functools.lru_cache(maxsize=16)
@lasting
def _tables(convention: MfccConvention) -> tuple[Tensor, Tensor]:
    """diag(w) D (n_mfcc, n_mels) and Dᵀ diag(1 / w) (n_mels, n_mfcc), in float64 on the CPU; 1 / 0 is taken for 0."""
    n_mels, half = convention.mel.n_mels, convention.lifter / 2
    order = torch.arange(convention.n_mfcc, dtype=torch.float64)
    cosines = (math.pi / n_mels * order[:, None] * (torch.arange(n_mels) + 0.5)).cos()
    lengths = cosines.square().sum(1).sqrt()  # √n_mels for the constant, √(n_mels / 2) for the others
    weights = torch.ones_like(order) if convention.norm == "ortho" else 2 * lengths
    if half > 0:
        weights = weights * (1 + half * (math.pi * (order + convention.lifter_start) / convention.lifter).sin())
    back = torch.where(weights == 0, 0, 1 / weights)
    rows = cosines / lengths[:, None]
    return weights[:, None] * rows, (back[:, None] * rows).T


@lasting
def inverse_dct(n: int, dct_type: int = 2, norm: str | None = "ortho") -> Tensor:
    """What undoes the DCT of n numbers, (n, n) in float64 on the CPU: of type 1, 2 or 3, `norm` "ortho" or None, as in scipy.

    `InputError` for others, and for n below 1 (type 1: below 2).
    """
    if dct_type not in (1, 2, 3) or norm not in DCT_NORMS:
        raise InputError(f"the DCT is of type {dct_type!r} with norm {norm!r}; it must be 1, 2 or 3, with 'ortho' or None")
    check_whole("n", n, 2 if dct_type == 1 else 1)
    index = torch.arange(n, dtype=torch.float64)
    if dct_type == 1:
        ends = torch.where((index == 0) | (index == n - 1), 0.5, 1).double()
        matrix = 2 * (math.pi / (n - 1) * index[:, None] * index).cos() * ends
        orthonormal = matrix / ends.sqrt() * ends.sqrt()[:, None] / math.sqrt(2 * (n - 1))
    else:
        matrix = 2 * (math.pi / n * index[:, None] * (index + 0.5)).cos()
        orthonormal = matrix / matrix.norm(dim=1, keepdim=True)
        if dct_type == 3:
            matrix, orthonormal = matrix.T * torch.where(index == 0, 0.5, 1), orthonormal.T
    return orthonormal.T if norm == "ortho" else torch.linalg.inv(matrix)


def _product(table: Tensor, values: Tensor) -> Tensor:
    """Table (rows, columns) times values (…, columns, n_frames); on the CPU item by item, so that batches change no bit."""
    table = table.to(values.dtype).to(values.device)
    items = values.reshape(-1, *values.shape[-2:])
    (products,) = over_items(lambda some: (table @ some,), items)
    return products.reshape(*values.shape[:-2], *products.shape[-2:])


@full_precision
def mel_to_mfcc(mel: Tensor, convention: MfccConvention | str | os.PathLike[str]) -> Tensor:
    """Mel (…, n_mels, n_frames), as `MelAnalyzer(convention.mel)` makes it, in dB or ln -> MFCCs (…, n_mfcc, n_frames).

    The same as `librosa.feature.mfcc` and `torchaudio.transforms.MFCC` with the conventions that `from_librosa_mfcc` and
    `from_torchaudio_mfcc` give. `convention` may be the path of its JSON. Linear in the mel, and differentiable; half precisions
    are computed in and returned as float32. `InputError` for another shape or dtype.
    """
    convention = as_mfcc_convention(convention)
    return _product(_tables(convention)[0], check_shape(mel, convention.mel))


@full_precision
def mfcc_to_log_mel(mfcc: Tensor, convention: MfccConvention | str | os.PathLike[str]) -> Tensor:
    """MFCCs (…, n_mfcc, n_frames) -> mel (…, n_mels, n_frames) in the values that `MelInverter(convention.mel)` takes.

    Inverse of `mel_to_mfcc` with all n_mels coefficients; with fewer, the smooth mel of those, whose MFCCs they are. Linear and
    differentiable. A coefficient whose lifter weight is zero (L = 2 has some) is lost and counts as zero; librosa divides by it.
    """
    convention = as_mfcc_convention(convention)
    return _product(_tables(convention)[1], as_rows(mfcc, "mfcc", convention.n_mfcc))


@full_precision
def mfcc_to_mel(mfcc: Tensor, convention: MfccConvention | str | os.PathLike[str]) -> Tensor:
    """MFCCs (…, n_mfcc, n_frames) -> linear mel (…, n_mels, n_frames), at least 0, as `librosa.feature.inverse.mfcc_to_mel`.

    It is `mfcc_to_log_mel` without the level, and goes with `MelAnalyzer.linear`. Truncation smooths in the logarithm, so that
    peaks come out lower and valleys fuller. What the level has lost stays lost: all that `top_db` lifted comes back as floor.
    """
    convention = as_mfcc_convention(convention)
    return expand(mfcc_to_log_mel(mfcc, convention), convention.mel.level)
