"""PESQ and ESTOI by the packages pesq and pystoi (the extra `metrics`).

Both are made for speech. They run at 16 kHz on the CPU, item by item. Items without a
defined score (silence, no utterance, too short) are NaN.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv._utils.options import named_options
from torchmelinv.io.resample import resample
from torchmelinv.metrics.checks import mask_padding

__all__ = ["estoi", "pesq_wb"]

PACKAGES = ("pesq", "pystoi")
SAMPLE_RATE = 16000  # the only sample rate of wide-band PESQ

# An utterance and the pause after it take at least 0.2 s each. pesq has space for 50 utterances and
# writes beyond it for more.
_LONGEST_PESQ_SECONDS = 20

# 30 frames of 25.6 ms that overlap by half. pystoi raises below, and warns at first above.
_SHORTEST_ESTOI_SECONDS = 0.41


def score_items(
    score: Callable[..., float], *waveforms: Tensor, counts: Tensor, sample_rate: float
) -> Tensor:
    """Return ``score(*waveforms)`` of each item at 16 kHz as arrays; NaN where one is silent."""
    first = waveforms[0]
    batch = torch.stack(waveforms).detach().float().cpu()
    batch = batch.reshape(len(waveforms), -1, first.shape[-1])
    values = []
    for item, count in zip(batch.unbind(1), counts.reshape(-1).tolist(), strict=True):
        value = math.nan
        # Shorter items have no sample at 16 kHz.
        if count >= sample_rate / SAMPLE_RATE and item[:, :count].any(-1).all():
            resampled = resample(item[:, :count], sample_rate, SAMPLE_RATE).numpy()
            if resampled.any(-1).all():
                value = score(*resampled)
        values.append(value)
    return torch.tensor(values, dtype=first.dtype, device=first.device).reshape(counts.shape)


@contextlib.contextmanager
def seeded_numpy() -> Iterator[None]:
    """Seed numpy's global generator, and restore its state at the end."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


@named_options
def pesq_wb(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the wide-band PESQ, an estimated mean opinion score.

    Higher is better, from 1.04 to 4.64. Computed by the package pesq at 16 kHz. A waveform of more
    than 20 s gets the mean of equal pieces of at most 20 s, without pieces that have no utterance,
    because pesq crashes after the fiftieth utterance. NaN in silence and below a quarter of a
    second.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean opinion score of each item, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit.
        DependencyError: If pesq is missing; the extra `metrics` provides it.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        ITU-T Recommendation P.862.2, "Wideband extension to Recommendation P.862 for the assessment
        of wideband telephone networks and speech codecs", 2007.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> silence = torch.zeros(22050)
        >>> tmi.metrics.pesq_wb(silence, silence, 22050)  # doctest: +SKIP
        tensor(nan)
    """
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    pesq = require("pesq", "metrics")

    def piece_score(estimate: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
        if not estimate.any() or not reference.any():
            return math.nan
        try:
            return float(pesq.pesq(SAMPLE_RATE, reference, estimate, "wb"))
        except (pesq.NoUtterancesError, pesq.BufferTooShortError):
            return math.nan

    def score(estimate: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
        n_pieces = math.ceil(len(reference) / (_LONGEST_PESQ_SECONDS * SAMPLE_RATE))
        pieces = [np.array_split(each, n_pieces) for each in (estimate, reference)]
        scores = [piece_score(*piece) for piece in zip(*pieces, strict=True)]
        defined = [value for value in scores if not math.isnan(value)]
        return sum(defined) / len(defined) if defined else math.nan

    return score_items(score, waveform, reference, counts=counts, sample_rate=sample_rate)


@named_options
def estoi(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the extended short-time objective intelligibility (ESTOI).

    Higher is better, from about 0 to 1. Computed by the package pystoi at 16 kHz. pystoi adds noise
    from numpy's global generator, which matters in digital silence: the generator is seeded for
    each item and restored. NaN where less than 0.4 s are not silent.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Intelligibility of each item, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit.
        DependencyError: If pystoi is missing; the extra `metrics` provides it.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech masked
        by modulated noise maskers", IEEE/ACM Trans. ASLP 24(11), 2016.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> silence = torch.zeros(22050)
        >>> tmi.metrics.estoi(silence, silence, 22050)  # doctest: +SKIP
        tensor(nan)
    """
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    stoi = require("pystoi", "metrics").stoi

    def score(estimate: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
        if len(reference) < _SHORTEST_ESTOI_SECONDS * SAMPLE_RATE:
            return math.nan
        with seeded_numpy(), warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames")
            try:
                return float(stoi(reference, estimate, SAMPLE_RATE, extended=True))
            except RuntimeWarning:
                return math.nan

    return score_items(score, waveform, reference, counts=counts, sample_rate=sample_rate)
