"""The fundamental frequency of one voice, and how far it is from that of a reference.

The method is Boersma's, which Praat uses, with Praat's costs: the peaks of the normalized
autocorrelation of frames of 50 ms every 10 ms are candidates, and a Viterbi search chooses among
them and "unvoiced" (Boersma 1993, "Accurate short-term analysis of the fundamental frequency …").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.batching import length_mask
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import or_one, peak
from torchmelinv.metrics.long_term_spectrum import LOWEST_RATE
from torchmelinv.metrics.pitch import normalized_autocorrelation

__all__ = ["f0_rmse_cents", "gross_pitch_error", "voicing_error"]

STEP_SECONDS, _FRAME_SECONDS = 0.01, 0.05
_LOWEST_F0, _HIGHEST_F0 = 60.0, 600.0  # Hz
_N_CANDIDATES = 14
_MOST_FRAMES = 4096  # that are analyzed at once
_VOICING_THRESHOLD, _SILENCE_THRESHOLD = 0.45, 0.03
_GROSS_ERROR = 0.2  # of the reference's frequency
_OCTAVE_COST, _OCTAVE_JUMP_COST, _VOICING_CHANGE_COST = 0.01, 0.35, 0.14

Track = tuple[Tensor, Tensor]  # fundamental frequency in Hz, voicing of each frame, (…, frames)


def find_f0(waveform: Tensor, counts: Tensor, sample_rate: float) -> Track:
    """Return the track of the fundamental frequency.

    Frames that begin in the padding, from sample `counts` on, are unvoiced.
    """
    check_number("sample_rate", sample_rate, LOWEST_RATE)
    waveform = waveform / peak(waveform, dim=-1)
    frame_length, step = round(_FRAME_SECONDS * sample_rate), round(STEP_SECONDS * sample_rate)
    padding = (frame_length // 2, frame_length - frame_length // 2)
    frames = pad(waveform, padding).unfold(-1, frame_length, step)
    frames = frames[..., : -(-waveform.shape[-1] // step), :]
    parts = frames.split(_MOST_FRAMES, -2)  # views: an hour of frames would take gigabytes
    candidates = [_candidates(part - part.mean(-1, keepdim=True), sample_rate) for part in parts]
    periods, strengths = (torch.cat(each, -2) for each in zip(*candidates, strict=True))
    loudness = torch.cat([part.abs().amax(-1) for part in parts], -1).cpu()
    frequencies, voiced = _best_path(sample_rate / periods, strengths, loudness)
    voiced &= length_mask(_n_frames(counts.cpu(), sample_rate), voiced.shape[-1])
    return frequencies.to(waveform.device), voiced.to(waveform.device)


def _candidates(frames: Tensor, sample_rate: float) -> tuple[Tensor, Tensor]:
    """Return periods in samples and strengths of the largest peaks, (…, frames, candidates)."""
    shortest, longest = int(sample_rate / _HIGHEST_F0), int(sample_rate / _LOWEST_F0) + 1
    correlation, _ = normalized_autocorrelation(frames, longest + 1)
    before, middle, after = (
        correlation[..., shortest + shift : longest + shift] for shift in (-1, 0, 1)
    )
    curvature = or_one(2 * middle - before - after)
    offset = ((after - before) / (2 * curvature)).clamp(-0.5, 0.5)
    periods = torch.arange(shortest, longest, device=frames.device) + offset
    height = middle + (after - before) * offset / 4
    strength = height - _OCTAVE_COST * (periods * (_LOWEST_F0 / sample_rate)).log2()
    is_peak = (middle > before) & (middle >= after)
    strengths, index = torch.where(is_peak, strength, -math.inf).topk(_N_CANDIDATES, -1)
    return periods.gather(-1, index).cpu(), strengths.cpu()


def _best_path(frequencies: Tensor, strengths: Tensor, loudness: Tensor) -> tuple[Tensor, Tensor]:
    """Return frequency and voicing of each frame on the path of the largest sum of strengths.

    The last candidate of a frame is that it is unvoiced.
    """
    relative = loudness / or_one(loudness.amax(-1, keepdim=True))
    silence = 2 - relative * ((1 + _VOICING_THRESHOLD) / _SILENCE_THRESHOLD)
    unvoiced = _VOICING_THRESHOLD + silence.clamp(min=0)
    strengths = torch.cat([strengths, unvoiced[..., None]], -1)
    octaves = frequencies.log2()
    totals, origins = strengths[..., 0, :], []
    for frame in range(1, strengths.shape[-2]):
        jump = octaves[..., frame - 1, :, None] - octaves[..., frame, None, :]
        cost = pad(_OCTAVE_JUMP_COST * jump.abs(), (0, 1, 0, 1), value=_VOICING_CHANGE_COST)
        cost[..., -1, -1] = 0
        best, origin = (totals[..., None] - cost).max(-2)
        totals = best + strengths[..., frame, :]
        origins.append(origin)
    choice = totals.argmax(-1, keepdim=True)
    path = [choice]
    for origin in reversed(origins):
        choice = origin.gather(-1, choice)
        path.append(choice)
    chosen = torch.cat(path[::-1], -1)
    voiced = chosen < _N_CANDIDATES
    index = chosen.clamp(max=_N_CANDIDATES - 1)[..., None]
    return frequencies.gather(-1, index)[..., 0], voiced


def _n_frames(counts: Tensor, sample_rate: float) -> Tensor:
    """Return the number of frames that begin before the end of each item."""
    return counts.sub(1).div(round(STEP_SECONDS * sample_rate), rounding_mode="floor") + 1


def compare_tracks(estimate: Track, reference: Track, n_frames: Tensor) -> dict[str, Tensor]:
    """Return the scores of two tracks by the names of `METRICS`, (…)."""
    both, ratio = estimate[1] & reference[1], estimate[0] / reference[0]
    is_gross = (ratio - 1).abs() > _GROSS_ERROR
    n_both, n_fine = both.sum(-1), (both & ~is_gross).sum(-1)
    squares = torch.where(both & ~is_gross, (1200 * ratio.log2()).square(), 0)
    rmse = (squares.sum(-1) / or_one(n_fine)).sqrt()
    gross = (both & is_gross).sum(-1) / or_one(n_both)
    return {
        "f0_rmse_cents": torch.where(n_fine > 0, rmse, math.nan),
        "gross_pitch_error": torch.where(n_both > 0, gross, math.nan),
        "voicing_error": (estimate[1] ^ reference[1]).sum(-1) / n_frames,
    }


@torch.no_grad()
@full_precision
def pitch_tracks(
    waveform: Tensor, reference: Tensor, sample_rate: float, lengths: Tensor | None
) -> tuple[Track, Track, Tensor]:
    """Return the tracks of two waveforms, and the frames of each item, (…)."""
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    estimate = find_f0(waveform, counts, sample_rate)
    return estimate, find_f0(reference, counts, sample_rate), _n_frames(counts, sample_rate)


@torch.no_grad()
@full_precision
def _pitch_scores(
    waveform: Tensor, reference: Tensor, sample_rate: float, lengths: Tensor | None
) -> dict[str, Tensor]:
    """Return the scores of the fundamental frequency of waveforms, (…), from one search."""
    return compare_tracks(*pitch_tracks(waveform, reference, sample_rate, lengths))


@named_options
def f0_rmse_cents(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the root mean square error of the fundamental frequency in cents.

    This is √(mean (1200 log2(f̂ / f))²) over the frames of 10 ms where both are voiced, from 60 to
    600 Hz, and f̂ is within 20 % of f: the others are the `gross_pitch_error`, as a single octave
    error in 100 frames would give 120 cents. Lower is better. Inverted speech has about 6 to 20,
    a hoarse voice 50; 100 are a semitone. Only for one voice or instrument at a time.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Error of each item in cents, (…); NaN without such a frame.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> time = torch.arange(8000) / 16000
        >>> tone, semitone_above = (
        ...     sum((2 * torch.pi * k * f * time).sin() for k in (1, 2, 3)) for f in (200, 211.89)
        ... )
        >>> tmi.metrics.f0_rmse_cents(semitone_above, tone, 16000).round(decimals=-1)
        tensor(100.)
    """
    return _pitch_scores(waveform, reference, sample_rate, lengths)["f0_rmse_cents"]


@named_options
def gross_pitch_error(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the share of gross errors of the fundamental frequency.

    Of the frames of 10 ms where both are voiced, it is the share where |f̂ / f − 1| > 0.2: another
    octave, or another melody. Lower is better, from 0 to 1. Inverted speech has up to 0.005, a
    hoarse voice 0.06.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Share of the frames of each item, (…); NaN where no frame is voiced in both.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        W. Chu and A. Alwan, "Reducing F0 frame error of F0 tracking algorithms under noisy
        conditions with an unvoiced/voiced classification frontend", ICASSP 2009.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> pulses, octave_above = torch.zeros(2, 16000)
        >>> pulses[::160] = octave_above[::80] = 1
        >>> tmi.metrics.gross_pitch_error(octave_above, pulses, 16000)
        tensor(1.)
    """
    return _pitch_scores(waveform, reference, sample_rate, lengths)["gross_pitch_error"]


@named_options
def voicing_error(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the share of frames that are voiced in only one of two waveforms.

    Lower is better, from 0 to 1. A vocoder of speech has about 0.02 to 0.06.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Share of the frames of 10 ms of each item, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        T. Nakatani, S. Amano, T. Irino, K. Ishizuka and T. Kondo, "A method for fundamental
        frequency estimation and voicing decision: application to infant utterances recorded in
        real acoustical environments", Speech Communication 50(3), 2008.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> pulses = torch.zeros(16000)
        >>> pulses[:8000:160] = 1
        >>> tmi.metrics.voicing_error(torch.zeros(16000), pulses, 16000).round(decimals=1)
        tensor(0.5000)
    """
    return _pitch_scores(waveform, reference, sample_rate, lengths)["voicing_error"]
