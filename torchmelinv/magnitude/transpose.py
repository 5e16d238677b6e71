"""The transposed filterbank, normalised: each bin interpolates the mean densities of the bands that it feeds."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.filterbank import MelFilterbank
from torchmelinv.ops.checks import as_rows
from torchmelinv.ops.precision import full_precision


@full_precision
def transpose(mel: Tensor, filterbank: MelFilterbank) -> Tensor:
    """s = Mᵀ(m / M1) / Mᵀ1: linear mel (…, n_mels, n_frames) -> spectrum ≥ 0, (…, n_freqs, n_frames).

    m / M1 is the mean density that a band saw, and a bin takes the average of its bands' densities weighted by how much it
    feeds them: the mel drawn as a smooth envelope. Not consistent with the mel; the start and the prior of the better methods.
    Bins that no filter sees are 0. One banded product.
    """
    mel = as_rows(mel, "mel", filterbank.n_mels)

    def make() -> list[Tensor]:
        sums = filterbank.table.sum(1, keepdim=True), filterbank.table.sum(0)[:, None]
        return [torch.where(each > 0, 1 / each, 0).to(mel.dtype).to(mel.device) for each in sums]

    per_band, per_bin = filterbank.derived("transpose", mel, make)
    return filterbank.adjoint(mel * per_band) * per_bin
