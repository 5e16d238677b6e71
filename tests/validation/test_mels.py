"""Metrics of mels in the values of a convention."""

from __future__ import annotations

import torch

from tests.tiny import TINY
from tests.validation.batches import MELS, linear
from torchmelinv import metrics


def test_padding_does_not_count(module):
    metric, padded = module.MelError(TINY), torch.full_like(MELS, 3.0)
    lengths = torch.tensor([5, 100, 20, 60])
    for item, length in enumerate(lengths):
        padded[item, :, :length] = MELS[item, :, :length]
    metric.update(padded + 0.1, padded, lengths=lengths)
    values = [
        metrics.mel_error_db(linear(mel[:, :n] + 0.1), linear(mel[:, :n]))
        for mel, n in zip(MELS, lengths, strict=True)
    ]
    torch.testing.assert_close(metric.compute(), torch.stack(values).mean())
