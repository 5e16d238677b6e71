"""How close results come to their references, item by item: one number an item, (…), computed without gradients.

Spectra and mels are (…, rows, n_frames), waveforms (…, n_samples), each twice: what was generated, then its reference. `lengths`
(…) counts the frames, of waveforms the samples, of each item of a padded batch; what follows an item's own end is not looked
at, and each item gets what it would get alone. Names that end in `_db` are in decibels. Nothing changes when both sides are
scaled. What has no finite value, as most against a silent reference, is infinite. `InputError` where the two shapes differ or are
empty, or `lengths` do not fit. Mel error, log-mel L1 and spectral convergence
are in `distance.py`: padding that is zero on both sides does not change them, but for the mean of log-mel L1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.frame import Frame, ragged_plan
from torchmelinv.measure.distance import inconsistency, own_parts, ratio_db
from torchmelinv.measure.losses import ConsistencyLoss, Convention
from torchmelinv.ops.checks import as_lengths, as_real, as_rows, check_whole
from torchmelinv.ops.items import leading
from torchmelinv.ops.precision import full_precision

RANGE_DB = 80.0  # logarithms end so far below the reference's peak
N_CEPSTRA = 24


def _relative_logs(estimate: Tensor, reference: Tensor, range_db: float = RANGE_DB) -> tuple[Tensor, Tensor, Tensor]:
    """ln of both relative to the reference's peak, no lower than `range_db` below it; and where only the reference is silent."""
    peak = reference.amax((-2, -1), keepdim=True)
    divisor = torch.where(peak > 0, peak, 1)
    logs = [(each / divisor).clamp(min=10 ** (-range_db / 20)).log() for each in (estimate, reference)]
    return logs[0], logs[1], (peak[..., 0, 0] <= 0) & (estimate > 0).any(-1).any(-1)


@torch.no_grad()
@full_precision
def log_spectral_distance_db(
    magnitude: Tensor, reference: Tensor, *, range_db: float = RANGE_DB, lengths: Tensor | None = None
) -> Tensor:
    """Mean over frames of the root mean square over bins of 20 log10(|X̂| / |X|), of magnitudes (…, n_freqs, n_frames), in dB.

    Both clamped to `range_db` below the reference's peak. Lower is better, 0 at equality. Gray and Markel 1976.
    """
    magnitude, reference, counts = own_parts(magnitude, reference, lengths, 2)
    found, wanted, hopeless = _relative_logs(magnitude, reference, range_db)
    distance = (found - wanted).square().mean(-2).sqrt().sum(-1) / counts
    return torch.where(hopeless, math.inf, 20 / math.log(10) * distance)


@torch.no_grad()
@full_precision
def mel_cepstral_distortion_db(
    mel: Tensor, reference: Tensor, *, n_cepstra: int = N_CEPSTRA, lengths: Tensor | None = None
) -> Tensor:
    """10√2 / ln 10 · mean over frames of √Σ (ĉ_d − c_d)², d = 1 … `n_cepstra`, of magnitude mels (…, n_mels, n_frames), in dB.

    c_d = 2/K Σ_k ln m_k cos(π d (k + ½) / K) over the K bands, so that ln m = c_0 / 2 + Σ c_d cos(π d (k + ½) / K). For cepstra
    of this scale the factor of Kubichek (1993) makes the result a root mean square difference of smoothed log mels in dB, their
    level left out. There are K − 1 cepstra at most. Frames are compared as they stand: no time warping. Both mels are clamped to
    80 dB below the reference's peak. Lower is better, 0 at equality. Figures from other cepstra (WORLD's envelope, orthonormal
    MFCC, mels in dB) are on other scales.
    """
    check_whole("n_cepstra", n_cepstra, 1)
    mel, reference, counts = own_parts(mel, reference, lengths, 2)
    found, wanted, hopeless = _relative_logs(mel, reference)
    n_mels = mel.shape[-2]
    order = torch.arange(1, min(n_cepstra, n_mels - 1) + 1, dtype=torch.float64)
    cosines = torch.cos(math.pi / n_mels * order[:, None] * (torch.arange(n_mels, dtype=torch.float64) + 0.5))
    cepstra = (2 / n_mels * cosines).to(mel.dtype).to(mel.device) @ (found - wanted)
    distortion = cepstra.square().sum(-2).sqrt().sum(-1) / counts
    return torch.where(hopeless, math.inf, 10 * math.sqrt(2) / math.log(10) * distortion)


@torch.no_grad()
def inconsistency_db(
    spectrum: Tensor, convention: Convention, *, lengths: Tensor | None = None, length: int | None = None
) -> Tensor:
    """20 log10(‖c − STFT(ISTFT(c))‖ / ‖c‖) of complex spectra (…, n_freqs, n_frames): how far c is from any signal's, in dB.

    About 0 at worst; rounding alone is about −130 in single precision. lws calls its negative consistency (Le Roux et al. 2010).
    `convention`, `lengths` (frames) and `length` as in `losses.ConsistencyLoss`.
    """
    return ratio_db(ConsistencyLoss(convention).of_items(spectrum, lengths=lengths, length=length)[0])


@torch.no_grad()
@full_precision
def target_inconsistency_db(waveform: Tensor, magnitude: Tensor, frame: Frame, *, lengths: Tensor | None = None) -> Tensor:
    """`inconsistency_db` of a magnitude A (…, n_freqs, n_frames) with the phase of a waveform x (…, n_samples), A e^{i∠STFT(x)}.

    In dB, lower is better: it tells how well the phase of x goes with A, whatever x itself makes of it, the residual that
    Griffin-Lim lowers. With zero padding it is at most x's spectral convergence to A, where both count mirrored bins. `lengths`
    (…) counts samples.
    """
    waveform, magnitude = as_real(waveform, "waveform"), as_rows(magnitude, "magnitude", frame.convention.n_freqs)
    spectrum = frame.analyse(waveform, lengths)
    if spectrum.shape != magnitude.shape:
        shapes = f"{tuple(magnitude.shape)} and the waveform's spectrum {tuple(spectrum.shape)}"
        raise InputError(f"the target magnitude has shape {shapes}; they must be equal")
    rows = torch.polar(magnitude, spectrum.angle()).reshape(-1, *spectrum.shape[-2:]).mT
    plan = frame.plan(rows.shape[-2], waveform.shape[-1], rows.real)
    if lengths is not None:
        counts = as_lengths(lengths, waveform.shape[:-1], waveform.shape[-1], waveform.device).reshape(-1)
        plan = ragged_plan(frame.frame_counts(counts), counts, plan)
    return ratio_db(inconsistency(rows, plan)).reshape(waveform.shape[:-1])


@torch.no_grad()
@full_precision
def si_sdr_db(waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """10 log10(‖αx‖² / ‖αx − x̂‖²), α = ⟨x̂, x⟩ / ‖x‖², of waveforms (…, n_samples) in dB; means are not taken away.

    Higher is better; unchanged when either is scaled. −∞ where the two have nothing in common, 300 at most. It compares samples,
    so a waveform with a phase of its own is near −∞ however close it sounds. Le Roux et al. 2019.
    """
    waveform, reference, _ = own_parts(waveform, reference, lengths, 1)
    peaks = (each.abs().amax(-1, keepdim=True) for each in (waveform, reference))  # squares could leave float32's range
    found, wanted = (each / torch.where(peak > 0, peak, 1) for each, peak in zip((waveform, reference), peaks, strict=True))
    energy = wanted.square().sum(-1, keepdim=True)
    target = (found * wanted).sum(-1, keepdim=True) / torch.where(energy > 0, energy, 1) * wanted
    error, size = (torch.linalg.vector_norm(each, dim=-1) for each in (found - target, target))
    both_silent = ~(found.any(-1) | wanted.any(-1))
    return -ratio_db(torch.where(both_silent, 0, torch.where(size == 0, math.inf, error / size)))


@torch.no_grad()
@full_precision
def envelope_correlation(magnitude: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """Pearson correlation over frames of the envelopes e_t = √Σ_k |X_kt|² of magnitudes (…, n_freqs, n_frames), from −1 to 1.

    Higher is better; unchanged when either is scaled. 0 where one envelope does not vary, 1 where neither does.
    """
    magnitude, reference, counts = own_parts(magnitude, reference, lengths, 2)
    deviations = []
    for each in (magnitude, reference):
        peak = each.amax((-2, -1), keepdim=True)
        envelope = torch.linalg.vector_norm(each / torch.where(peak > 0, peak, 1), dim=-2)
        mean = envelope.sum(-1, keepdim=True) / counts[..., None]
        deviation = torch.where(leading(counts, each.shape[-1]), envelope - mean, 0)
        rounding = 16 * torch.finfo(mean.dtype).eps * mean
        deviations.append(torch.where(deviation.abs().amax(-1, keepdim=True) <= rounding, 0, deviation))
    sizes = [torch.linalg.vector_norm(each, dim=-1) for each in deviations]
    product = sizes[0] * sizes[1]
    correlation = (deviations[0] * deviations[1]).sum(-1) / torch.where(product > 0, product, 1)
    return torch.where(sizes[0] + sizes[1] == 0, 1, correlation.clamp(-1, 1))
