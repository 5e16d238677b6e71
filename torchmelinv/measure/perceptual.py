"""PESQ and ESTOI by the packages pesq and pystoi (the extra `metrics`): at 16 kHz, on the CPU, one item after the other.

Waveforms (…, n_samples) at `sample_rate` Hz, twice, and the samples of each item of a padded batch as `lengths` (…) -> (…).
Higher is better. Both are made for speech. NaN where they have no answer: silence, no utterance, too little of it.
`DependencyError` without the packages, `InputError` where the two shapes differ or are empty.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.files import require, resample
from torchmelinv.measure.distance import own_parts

PACKAGES = ("pesq", "pystoi")
SAMPLE_RATE = 16000  # the only one of wide-band PESQ
_MOST_PESQ_SECONDS = 20  # an utterance and the pause after it are 0.2 s each at least; pesq has room for 50, and writes beyond
_LEAST_ESTOI_SECONDS = 0.41  # 30 frames of 25.6 ms with half of it between them: an exception below, a warning above

Score = Callable[[NDArray[np.float32], NDArray[np.float32]], float]


def _each(score: Score, parts: tuple[Tensor, Tensor, Tensor], sample_rate: float) -> Tensor:
    """`score(found, wanted)` of each item's own parts at 16 kHz; not called where one is silent."""
    waveform, reference, own = parts
    items, counts = own.shape, own.reshape(-1).tolist()
    pairs = torch.stack([waveform, reference]).detach().float().cpu().reshape(2, -1, waveform.shape[-1])
    values = []
    for pair, count in zip(pairs.unbind(1), counts, strict=True):
        own = pair[:, :count]
        enough = bool(own.any(-1).all()) and count >= sample_rate / SAMPLE_RATE  # to be resampled
        found, wanted = resample(own, sample_rate, SAMPLE_RATE).numpy() if enough else np.zeros((2, 1), np.float32)
        values.append(score(found, wanted) if found.any() and wanted.any() else math.nan)
    return torch.tensor(values, dtype=waveform.dtype, device=waveform.device).reshape(items)


def pesq_wb(waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None) -> Tensor:
    """Wide-band PESQ of waveforms (…, n_samples) -> mean opinion scores (…), 1.04 to 4.64, higher is better (ITU-T P.862.2).

    At 16 kHz by the package pesq, resampled; NaN in silence and under a quarter of a second. Of more than 20 s it is the mean
    of equal pieces no longer than that, without those that have no utterance: pesq would end the process after the fiftieth.
    """
    parts = own_parts(waveform, reference, lengths, 1)
    pesq = require("pesq", "metrics")

    def piece(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
        if not found.any() or not wanted.any():
            return math.nan
        try:
            return float(pesq.pesq(SAMPLE_RATE, wanted, found, "wb"))
        except (pesq.NoUtterancesError, pesq.BufferTooShortError):
            return math.nan

    def score(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
        count = math.ceil(len(wanted) / (_MOST_PESQ_SECONDS * SAMPLE_RATE))
        values = [piece(*each) for each in zip(np.array_split(found, count), np.array_split(wanted, count), strict=True)]
        answers = [value for value in values if not math.isnan(value)]
        return sum(answers) / len(answers) if answers else math.nan

    return _each(score, parts, sample_rate)


def estoi(waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None) -> Tensor:
    """Extended short-time objective intelligibility of waveforms (…, n_samples) -> (…), about 0 to 1, higher is better.

    Jensen and Taal 2016, at 16 kHz by the package pystoi, resampled; NaN where fewer than 0.4 s are not silent. pystoi adds
    numbers from numpy's global generator that matter in digital silence: it is seeded here for each item, and put back.
    """
    parts = own_parts(waveform, reference, lengths, 1)
    stoi = require("pystoi", "metrics").stoi

    def score(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
        if len(wanted) < _LEAST_ESTOI_SECONDS * SAMPLE_RATE:
            return math.nan
        state = np.random.get_state()
        try:
            np.random.seed(0)
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "Not enough STFT frames")
                return float(stoi(wanted, found, SAMPLE_RATE, extended=True))
        except RuntimeWarning:
            return math.nan
        finally:
            np.random.set_state(state)

    return _each(score, parts, sample_rate)
