"""Scores after time alignment, for speech with a rhythm of its own (free-running synthesis).

Dynamic time warping (DTW) of the mel cepstra finds pairs of frames (i, j) from the first to the
last with the smallest sum of Euclidean distances, in steps (1, 1), (1, 0) and (0, 1) of equal
weight, without a band (Sakoe and Chiba 1978). Aligned scores are means over the pairs. They do not
see that the rhythm differs: `misalignment_ms` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_features, check_real
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.metrics.checks import check_waveform
from torchmelinv.metrics.fundamental_frequency import STEP_SECONDS, Track, compare_tracks, find_f0
from torchmelinv.metrics.spectral import DISTORTION_DB, mel_cepstra

__all__ = ["aligned_mel_scores", "aligned_scores", "dtw_path"]

_MOST_CELLS = 2**28  # pairs of frames, a byte each: about 3 minutes against 3 minutes


@named_options
@torch.no_grad()
def dtw_path(features: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Align two sequences of vectors by dynamic time warping, on the CPU.

    Args:
        features: Vectors (n_features, n_frames).
        reference: Vectors (n_features, n_reference_frames).

    Returns:
        Frames of both along the path, from the first pair of frames to the last.

    Raises:
        InputError: If shapes or dtypes do not fit, if there are no frames, or too many: 2²⁸ pairs
            at most.

    Shape:
        - features: (n_features, n_frames)
        - reference: (n_features, n_reference_frames)
        - output: (path_length,), (path_length,)

    References:
        H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken word
        recognition", IEEE Trans. ASSP 26(1), 1978.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> first, second = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0]])
        >>> tmi.metrics.dtw_path(first, second)
        (tensor([0, 0, 1]), tensor([0, 1, 2]))
    """
    sequences = []
    for name, each in (("features", features), ("reference", reference)):
        each = check_real(each, name)
        if each.ndim != 2:
            shape = tuple(each.shape)
            raise InputError(f"{name} has shape {shape}; it must be (n_features, n_frames)")
        sequences.append(each.mT.double().cpu().numpy())
    if sequences[0].shape[1] != sequences[1].shape[1]:
        raise InputError(
            f"features and reference have {sequences[0].shape[1]} and {sequences[1].shape[1]} "
            "features per frame; they must have equally many"
        )
    first, second = _path(*sequences)
    return torch.from_numpy(first), torch.from_numpy(second)


def _path(
    features: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the path between sequences of vectors (n_frames, n_features)."""
    n, m = len(features), len(reference)
    if not 0 < n * m <= _MOST_CELLS:
        raise InputError(f"{n} and {m} frames cannot be aligned; 1 to 2²⁸ pairs are possible")
    backward = np.ascontiguousarray(reference[::-1])
    # Costs of the last two antidiagonals by i + 1; an infinite cost stands before the first frame.
    older, old = np.full((2, n + 1), np.inf)
    older[0] = 0
    steps: list[NDArray[np.uint8]] = []
    for diagonal in range(n + m - 1):
        low, high = max(0, diagonal - m + 1), min(diagonal, n - 1) + 1
        start = m - 1 - diagonal + low
        difference = features[low:high] - backward[start : start + high - low]
        distance = np.sqrt(np.einsum("td,td->t", difference, difference))
        both, one, other = older[low:high], old[low:high], old[low + 1 : high + 1]
        single = np.minimum(one, other)
        steps.append(np.where(both <= single, 0, np.where(one <= other, 1, 2)).astype(np.uint8))
        new = np.full(n + 1, np.inf)
        new[low + 1 : high + 1] = np.minimum(both, single) + distance
        older, old = old, new
    i, j = n - 1, m - 1
    path = [(i, j)]
    while i or j:
        step = steps[i + j][i - max(0, i + j - m + 1)]
        i, j = i - int(step != 2), j - int(step != 1)
        path.append((i, j))
    first, second = np.array(path[::-1]).T
    return first, second


def _align(mel: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the frames of both along the path, on the CPU, and the mean distance of cepstra."""
    cepstra = [each.cpu() for each in mel_cepstra(mel, reference)]
    first, second = dtw_path(*(each.mT for each in cepstra))
    distances = (cepstra[0][first] - cepstra[1][second]).norm(dim=-1)
    return first, second, float(distances.mean())


def _mel_scores(
    mel: Tensor, reference: Tensor, convention: MelConvention
) -> tuple[dict[str, float], tuple[Tensor, Tensor]]:
    power = convention.power
    mels = [safe_pow(each, 1 / power) for each in (mel, reference)]
    first, second, distance = _align(mels[0], mels[1])
    milliseconds = 1000 * convention.hop_length / convention.sample_rate
    scores = {
        "aligned_mel_cepstral_distortion_db": DISTORTION_DB * distance,
        "misalignment_ms": float((first - second).abs().float().median()) * milliseconds,
    }
    return scores, (first, second)


@named_options
@torch.no_grad()
@full_precision
def aligned_mel_scores(
    mel: Tensor, reference: Tensor, convention: MelConvention
) -> dict[str, float]:
    """Compute the scores of two linear mels after time alignment of their frames.

    Args:
        mel: Linear mel (n_mels, n_frames).
        reference: Linear mel (n_mels, n_reference_frames).
        convention: The convention of the mels.

    Returns:
        Values by the names of `METRICS`: the mel cepstral distortion along the path, and the
        median distance in time of its pairs of frames.

    Raises:
        InputError: If the mels are no linear mels of the convention, or too long to be aligned.

    Shape:
        - mel: (n_mels, n_frames)
        - reference: (n_mels, n_reference_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = torch.rand(80, 40)
        >>> stretched = mel.repeat_interleave(2, -1)
        >>> scores = tmi.metrics.aligned_mel_scores(stretched, mel, tmi.preset("hifigan_22k"))
        >>> round(scores["aligned_mel_cepstral_distortion_db"], 3)
        0.0
    """
    mels = []
    for name, each in (("mel", mel), ("reference", reference)):
        each = check_features(each, name, convention.n_mels)
        if each.ndim != 2:
            raise InputError(f"the {name} has shape {tuple(each.shape)}; give one item at a time")
        mels.append(each)
    return _mel_scores(mels[0], mels[1], convention)[0]


@named_options
@torch.no_grad()
@full_precision
def aligned_scores(
    waveform: Tensor,
    reference: Tensor,
    convention: MelSpectrogram | MelConvention | str | os.PathLike[str],
) -> dict[str, float]:
    """Compute the scores of two waveforms after time alignment of their frames.

    Args:
        waveform: Waveform (n_samples,) at the convention's sample rate.
        reference: Waveform (n_reference_samples,), which may be longer or shorter.
        convention: The convention of the mels, or its `MelSpectrogram`.

    Returns:
        Values by the names of `METRICS`: the mel cepstral distortion, the error of the fundamental
        frequency in cents, the gross pitch error and the voicing error along the path, and the
        median distance in time of its pairs of frames.

    Raises:
        InputError: If a waveform is too short for a frame, or both are too long to be aligned.

    Shape:
        - waveform: (n_samples,)
        - reference: (n_reference_samples,)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> waveform = torch.randn(22050)
        >>> scores = tmi.metrics.aligned_scores(waveform, waveform, "hifigan_22k")
        >>> scores["aligned_mel_cepstral_distortion_db"], scores["misalignment_ms"]
        (0.0, 0.0)
    """
    module = convention if isinstance(convention, MelSpectrogram) else MelSpectrogram(convention)
    return score_aligned(waveform, reference, module)


@torch.no_grad()
@full_precision
def score_aligned(
    waveform: Tensor,
    reference: Tensor,
    module: MelSpectrogram,
    tracks: Iterable[Track | None] = (None, None),
) -> dict[str, float]:
    """Return `aligned_scores`. A track of the fundamental frequency is searched if it is None."""
    settings = module.convention
    rate = settings.sample_rate
    waveforms = [check_waveform(each, None)[0] for each in (waveform, reference)]
    mels = [module.linear_mel(each) for each in waveforms]
    scores, path = _mel_scores(mels[0], mels[1], settings)
    along_path = []
    for each, track, frames in zip(waveforms, tracks, path, strict=True):
        f0, voiced = track or find_f0(each, torch.tensor(each.shape[-1]), rate)
        seconds = frames * (settings.hop_length / rate)
        index = (seconds / STEP_SECONDS).round().long().clamp(max=len(f0) - 1)
        along_path.append((f0.cpu()[index], voiced.cpu()[index]))
    pitch = compare_tracks(along_path[0], along_path[1], torch.tensor(len(path[0])))
    return {**scores, **{f"aligned_{name}": float(value) for name, value in pitch.items()}}
