"""How far a result is from torchaudio's, and a small geometry."""

from __future__ import annotations

SMALL = {"n_fft": 128, "hop_length": 32}


def deviation(result, expected):
    """Return the largest difference, relative to the peak."""
    return float((result - expected).abs().max() / expected.abs().max())
