"""Spectrograms are torchaudio's."""

from __future__ import annotations

import pytest
import torch
import torchaudio.transforms as reference

from tests.problems import tones
from torchmelinv.compat import torchaudio as compat


def test_complex_spectrogram():
    waveform = tones(1000)
    result, expected = (
        library.Spectrogram(power=None, onesided=False)(waveform) for library in (compat, reference)
    )
    torch.testing.assert_close(result, expected)
    with pytest.warns(UserWarning, match="return_complex does nothing"):
        compat.Spectrogram(return_complex=True)
