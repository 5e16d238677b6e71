"""Metrics of spectra, mels and waveforms against a reference: one value for each item of a batch.

The estimate comes first, then its reference. Names that end in ``_db`` are in decibels. `lengths`
counts the frames (of waveforms the samples) of each item of a padded batch; the padding is ignored.
Without `lengths`, zeros on both sides change no relative error. `torchmelinv.metrics.scores`
computes all metrics of a pair at once, and their means over many pairs.
"""

from torchmelinv.metrics.consistency import inconsistency_db, target_inconsistency_db
from torchmelinv.metrics.distance import log_mel_l1, mel_error_db, spectral_convergence_db
from torchmelinv.metrics.gradient import gradient_norm
from torchmelinv.metrics.perceptual import estoi, pesq_wb
from torchmelinv.metrics.sdr import si_sdr_db
from torchmelinv.metrics.spectral import (
    envelope_correlation,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
)

__all__ = [
    "envelope_correlation",
    "estoi",
    "gradient_norm",
    "inconsistency_db",
    "log_mel_l1",
    "log_spectral_distance_db",
    "mel_cepstral_distortion_db",
    "mel_error_db",
    "pesq_wb",
    "si_sdr_db",
    "spectral_convergence_db",
    "target_inconsistency_db",
]
