"""All metrics of a sound at once, by name: differences that PESQ, ESTOI and mels do not show."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.metrics.channels import channel_correlation, downmix_level_db
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.glossary import Metric
from torchmelinv.metrics.level import crest_factor_db, level_db
from torchmelinv.metrics.long_term_spectrum import band_level_db, edge_energy_db
from torchmelinv.metrics.modulation import hop_fluctuation_db, hop_modulation_db, periodicity
from torchmelinv.metrics.onsets import onset_slope_db, pre_echo_db
from torchmelinv.metrics.pitch import harmonics_to_noise_db, pulse_depth
from torchmelinv.metrics.tonal_lines import tonal_line_db

__all__ = ["SOUND_METRICS", "channel_scores", "sound_scores"]

# All are differences from the reference: 0 is best.
SOUND_METRICS = {
    "level_db": Metric("level, dB", 1, None),
    "band_level_db": Metric("worst third octave, dB", 1, None),
    "lower_edge_db": Metric("lower edge, dB", 1, None),
    "upper_edge_db": Metric("upper edge, dB", 1, None),
    "tonal_line_db": Metric("tonal line, dB", 1, None),
    "hop_modulation_db": Metric("modulation at the hop, dB", 1, None),
    "hop_fluctuation_db": Metric("fluctuation of hops, dB", 1, None),
    "periodicity": Metric("periodicity at n_fft", 2, None),
    "crest_factor_db": Metric("crest factor, dB", 1, None),
    "onset_slope_db": Metric("onset slope, dB", 1, None),
    "pre_echo_db": Metric("pre-echo, dB", 1, None),
    "pulse_depth_2_khz": Metric("pulse depth, 2–4 kHz", 2, None),
    "pulse_depth_4_khz": Metric("pulse depth, 4–7.5 kHz", 2, None),
    "harmonics_to_noise_2_khz_db": Metric("harmonics to noise, 2–4 kHz, dB", 1, None),
    "harmonics_to_noise_4_khz_db": Metric("harmonics to noise, 4–7.5 kHz, dB", 1, None),
    "channel_correlation": Metric("channel correlation", 2, None),
    "downmix_level_db": Metric("mono level, dB", 1, None),
}


@named_options
@torch.no_grad()
@full_precision
def sound_scores(
    waveform: Tensor,
    reference: Tensor,
    convention: MelConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute all metrics of the sound of a waveform, except those of stereo channels.

    Of the third-octave bands the one with the largest deviation counts.

    Args:
        waveform: Waveform (…, n_samples) at the convention's sample rate.
        reference: Waveform of the same shape.
        convention: The convention of the mels: its sample rate, hop, `n_fft` and filter edges.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Values of each item, (…), by the names of `SOUND_METRICS`.

    Raises:
        InputError: If shapes, dtypes or devices do not fit.
        ConventionError: If there is no such convention.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise = torch.randn(22050)
        >>> scores = tmi.metrics.sound_scores(2 * noise, noise, "hifigan_22k")
        >>> round(float(scores["level_db"]), 2), round(float(scores["periodicity"]), 2)
        (6.02, 0.0)
    """
    settings = as_convention(convention)
    rate, hop_length = settings.sample_rate, settings.hop_length
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    pair = waveform, reference
    bands = band_level_db(*pair, rate)
    worst = bands.gather(-1, bands.abs().argmax(-1, keepdim=True))[..., 0]
    lower, upper = edge_energy_db(*pair, settings).unbind(-1)
    depths = pulse_depth(*pair, rate).unbind(-1)
    ratios = harmonics_to_noise_db(*pair, rate).unbind(-1)
    return {
        "level_db": level_db(*pair),
        "band_level_db": worst,
        "lower_edge_db": lower,
        "upper_edge_db": upper,
        "tonal_line_db": tonal_line_db(*pair, rate),
        "hop_modulation_db": hop_modulation_db(*pair, hop_length, lengths=counts),
        "hop_fluctuation_db": hop_fluctuation_db(*pair, hop_length, lengths=counts),
        "periodicity": periodicity(*pair, settings.n_fft, lengths=counts),
        "crest_factor_db": crest_factor_db(*pair, lengths=counts),
        "onset_slope_db": onset_slope_db(*pair, rate),
        "pre_echo_db": pre_echo_db(*pair, rate),
        "pulse_depth_2_khz": depths[0],
        "pulse_depth_4_khz": depths[1],
        "harmonics_to_noise_2_khz_db": ratios[0],
        "harmonics_to_noise_4_khz_db": ratios[1],
    }


@named_options
def channel_scores(
    waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None
) -> dict[str, Tensor]:
    """Compute all metrics of the channels of a stereo waveform.

    Args:
        waveform: Waveform (…, 2, n_samples).
        reference: Waveform of the same shape.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Values of each item, (…), by the names of `SOUND_METRICS`.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or there are not two channels.

    Shape:
        - waveform: (…, 2, n_samples)
        - reference: (…, 2, n_samples)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> stereo = torch.randn(2, 22050)
        >>> list(tmi.metrics.channel_scores(stereo, stereo))
        ['channel_correlation', 'downmix_level_db']
    """
    return {
        metric.__name__: metric(waveform, reference, lengths=lengths)
        for metric in (channel_correlation, downmix_level_db)
    }
