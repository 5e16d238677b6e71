"""De-emphasis is the inverse of pre-emphasis."""

from __future__ import annotations

import pytest
import torch

from tests.problems import tones
from torchmelinv.transforms.emphasis import de_emphasize


@pytest.mark.parametrize("n_samples", [1, 2, 1000, 5000])
def test_de_emphasis_undoes_pre_emphasis(n_samples):
    waveform = tones(n_samples, (2,), torch.float64)
    emphasized = waveform - 0.97 * torch.nn.functional.pad(waveform, (1, 0))[..., :-1]
    torch.testing.assert_close(de_emphasize(emphasized, 0.97), waveform)


def test_without_pre_emphasis_nothing_changes():
    waveform = tones(100)
    assert de_emphasize(waveform, 0.0) is waveform
