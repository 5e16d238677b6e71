"""The clipped pseudo-inverse against numpy's."""

from __future__ import annotations

import numpy as np
import torch

from tests.problems import DEFICIENT, TINY
from torchmelinv.magnitude.pinv import pinv
from torchmelinv.transforms.mel_filterbank import MelFilterbank


def test_against_numpy():
    for convention in (TINY, DEFICIENT):
        bank = MelFilterbank(convention)
        mel = torch.rand(bank.n_mels, 5, dtype=torch.float64)
        expected = np.maximum(0, np.linalg.pinv(bank.table.numpy(), rcond=1e-4) @ mel.numpy())
        torch.testing.assert_close(pinv(mel, bank), torch.from_numpy(expected))
