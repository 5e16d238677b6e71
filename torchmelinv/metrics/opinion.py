"""Opinion scores without a reference, by the packages distillmos and speechmos (the extra `mos`).

Networks that were trained on listeners' opinions of speech predict them from the waveform alone.
They run at 16 kHz on the CPU, item by item. Silent and short items have no score: NaN.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from torchmelinv._utils.optional import require
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision, outside_inference_mode
from torchmelinv.metrics.checks import check_waveform
from torchmelinv.metrics.perceptual import SAMPLE_RATE, score_items, seeded_numpy

__all__ = ["distillmos", "dnsmos", "plcmos"]

PACKAGES = ("distillmos.sqa", "speechmos.dnsmos", "speechmos.plcmos")

# PESQ has the same bound. The network of PLCMOS fails below a tenth of a second.
_SHORTEST_SECONDS = 0.25


def _score_speech(
    score: Callable[[NDArray[np.float32]], float],
    waveform: Tensor,
    counts: Tensor,
    sample_rate: float,
) -> Tensor:
    """Return the score of each item, with a peak of at most 1; NaN for items that have none."""

    def score_item(item: NDArray[np.float32]) -> float:
        if len(item) < _SHORTEST_SECONDS * SAMPLE_RATE or not np.isfinite(item).all():
            return math.nan
        return float(score(item / np.maximum(1, np.abs(item).max())))

    return score_items(score_item, waveform, counts=counts, sample_rate=sample_rate)


@functools.cache
@outside_inference_mode
def _distillmos_model(package: ModuleType) -> nn.Module:
    """Return the network. Its constructor prints a line and draws random numbers."""
    with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
        return package.ConvTransformerSQAModel().eval()


@named_options
@torch.no_grad()
@full_precision
def distillmos(waveform: Tensor, sample_rate: float, *, lengths: Tensor | None = None) -> Tensor:
    """Compute DistillMOS, an estimated mean opinion score without a reference.

    Higher is better, from 1 to 5; recordings of speech have about 3.1 to 4.6. The score was learned
    from speech. It does not know the text or the reference, and a flawed restoration can score
    higher than the recording: compare with the recording's own score. Computed by the package
    distillmos at 16 kHz, as the mean over segments of 7.68 s. NaN in silence and below a quarter of
    a second.

    Args:
        waveform: Waveform (…, n_samples).
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean opinion score of each item, (…).

    Raises:
        InputError: If shapes or dtypes do not fit.
        DependencyError: If distillmos is missing; the extra `mos` provides it.

    Shape:
        - waveform: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        B. Stahl and H. Gamper, "Distillation and pruning for scalable self-supervised
        representation-based speech quality assessment", ICASSP 2025.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> tmi.metrics.distillmos(torch.zeros(22050), 22050)  # doctest: +SKIP
        tensor(nan)
    """
    waveform, counts = check_waveform(waveform, lengths)
    package = require("distillmos.sqa", "mos")
    model = _distillmos_model(package)

    def score(item: NDArray[np.float32]) -> float:
        # The segments of the package, one by one: a batch of them takes 65 MB for each.
        excess = max(0, len(item) - package.SEQ_LEN)
        positions = np.linspace(0, 1, math.ceil(excess / package.MAX_HOP_LEN) + 1)
        starts = (positions * excess).astype(int)
        segments = (item[start : start + package.SEQ_LEN] for start in starts)
        return float(np.mean([float(model(torch.tensor(each)[None])) for each in segments]))

    return _score_speech(score, waveform, counts, sample_rate)


@named_options
def dnsmos(waveform: Tensor, sample_rate: float, *, lengths: Tensor | None = None) -> Tensor:
    """Compute the overall quality of DNSMOS P.835, an estimated opinion score without a reference.

    Higher is better, from 1 to 5; recordings of speech have about 2.7 to 3.4. The score was learned
    from noisy speech and its enhancement. It does not know the text or the reference, and a flawed
    restoration can score higher than the recording: compare with the recording's own score.
    Computed by the package speechmos at 16 kHz, as the mean over segments of 9 s; shorter waveforms
    are repeated. The level matters; peaks above 1 are scaled to 1. NaN in silence and below a
    quarter of a second.

    Args:
        waveform: Waveform (…, n_samples).
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean opinion score of each item, (…).

    Raises:
        InputError: If shapes or dtypes do not fit.
        DependencyError: If speechmos is missing; the extra `mos` provides it.

    Shape:
        - waveform: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        C. K. A. Reddy, V. Gopal and R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective
        speech quality metric to evaluate noise suppressors", ICASSP 2022.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> tmi.metrics.dnsmos(torch.zeros(22050), 22050)  # doctest: +SKIP
        tensor(nan)
    """
    waveform, counts = check_waveform(waveform, lengths)
    run = require("speechmos.dnsmos", "mos").run
    return _score_speech(
        lambda item: run(item, SAMPLE_RATE)["ovrl_mos"], waveform, counts, sample_rate
    )


@named_options
def plcmos(waveform: Tensor, sample_rate: float, *, lengths: Tensor | None = None) -> Tensor:
    """Compute PLCMOS, an estimated mean opinion score without a reference.

    Higher is better, from 1 to 5; recordings of speech have about 2.3 to 4.8. The score was learned
    from speech with concealed gaps. It does not know the text or the reference, and a flawed
    restoration can score higher than the recording: compare with the recording's own score.
    Computed by the package speechmos at 16 kHz, as the mean of 15 listeners that it draws from
    numpy's global generator: the generator is seeded for each item and restored. The level matters;
    peaks above 1 are scaled to 1. NaN in silence and below a quarter of a second.

    Args:
        waveform: Waveform (…, n_samples).
        sample_rate: Sample rate in Hz; other rates than 16 kHz are resampled.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean opinion score of each item, (…).

    Raises:
        InputError: If shapes or dtypes do not fit.
        DependencyError: If speechmos is missing; the extra `mos` provides it.

    Shape:
        - waveform: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        L. Diener, M. Purin, S. Sootla, A. Saabas, R. Aichner and R. Cutler, "PLCMOS – a data-driven
        non-intrusive metric for the evaluation of packet loss concealment algorithms", Interspeech
        2023.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> tmi.metrics.plcmos(torch.zeros(22050), 22050)  # doctest: +SKIP
        tensor(nan)
    """
    waveform, counts = check_waveform(waveform, lengths)
    run = require("speechmos.plcmos", "mos").run

    def score(item: NDArray[np.float32]) -> float:
        with seeded_numpy():
            return float(run(item, SAMPLE_RATE)["plcmos"])

    return _score_speech(score, waveform, counts, sample_rate)
