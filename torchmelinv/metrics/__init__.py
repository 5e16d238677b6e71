"""Metrics of spectra, mels and waveforms against a reference: one value for each item of a batch.

The estimate comes first, then its reference. Names that end in ``_db`` are in decibels. `lengths`
counts the frames (of waveforms the samples) of each item of a padded batch; the padding is ignored.
Without `lengths`, zeros on both sides change no relative error.

`log_mel_l1`, `mel_error_db`, `spectral_convergence_db` and `si_sdr_db` have gradients, finite in
silence too; all other metrics are computed without. In silence decibels are limited to ±300, so
that the mean of a batch stays finite; PESQ, ESTOI and opinion scores are NaN.

`waveform_scores` and `mel_scores` compute the metrics of `METRICS` at once, `sound_scores` those of
`SOUND_METRICS`, which show a whistle, a flutter, softened onsets and other faults that PESQ, ESTOI
and mel errors miss. `bootstrap_mean` averages the values of many pairs. `distillmos`, `dnsmos` and
`plcmos` have no reference.
"""

from torchmelinv.metrics.alignment import aligned_mel_scores, aligned_scores, dtw_path
from torchmelinv.metrics.channels import channel_correlation, downmix_level_db
from torchmelinv.metrics.consistency import inconsistency_db, target_inconsistency_db
from torchmelinv.metrics.distance import log_mel_l1, mel_error_db, spectral_convergence_db
from torchmelinv.metrics.fundamental_frequency import (
    f0_rmse_cents,
    gross_pitch_error,
    voicing_error,
)
from torchmelinv.metrics.glossary import METRICS, OPINION_METRICS, Metric
from torchmelinv.metrics.gradient import gradient_norm
from torchmelinv.metrics.level import crest_factor_db, level_db
from torchmelinv.metrics.long_term_spectrum import (
    band_level_db,
    edge_energy_db,
    third_octave_bands,
)
from torchmelinv.metrics.modulation import hop_fluctuation_db, hop_modulation_db, periodicity
from torchmelinv.metrics.onsets import onset_slope_db, pre_echo_db
from torchmelinv.metrics.opinion import distillmos, dnsmos, plcmos
from torchmelinv.metrics.perceptual import estoi, pesq_wb
from torchmelinv.metrics.pitch import harmonics_to_noise_db, pulse_depth
from torchmelinv.metrics.scores import (
    Mean,
    bootstrap_mean,
    mel_scores,
    opinion_scores,
    perceptual_scores,
    waveform_scores,
)
from torchmelinv.metrics.sdr import si_sdr_db
from torchmelinv.metrics.sounds import SOUND_METRICS, channel_scores, sound_scores
from torchmelinv.metrics.spectral import (
    envelope_correlation,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
)
from torchmelinv.metrics.tonal_lines import tonal_line_db

__all__ = [
    "METRICS",
    "OPINION_METRICS",
    "SOUND_METRICS",
    "Mean",
    "Metric",
    "aligned_mel_scores",
    "aligned_scores",
    "band_level_db",
    "bootstrap_mean",
    "channel_correlation",
    "channel_scores",
    "crest_factor_db",
    "distillmos",
    "dnsmos",
    "downmix_level_db",
    "dtw_path",
    "edge_energy_db",
    "envelope_correlation",
    "estoi",
    "f0_rmse_cents",
    "gradient_norm",
    "gross_pitch_error",
    "harmonics_to_noise_db",
    "hop_fluctuation_db",
    "hop_modulation_db",
    "inconsistency_db",
    "level_db",
    "log_mel_l1",
    "log_spectral_distance_db",
    "mel_cepstral_distortion_db",
    "mel_error_db",
    "mel_scores",
    "onset_slope_db",
    "opinion_scores",
    "perceptual_scores",
    "periodicity",
    "pesq_wb",
    "plcmos",
    "pre_echo_db",
    "pulse_depth",
    "si_sdr_db",
    "sound_scores",
    "spectral_convergence_db",
    "target_inconsistency_db",
    "third_octave_bands",
    "tonal_line_db",
    "voicing_error",
    "waveform_scores",
]
