"""Band levels and edge energies of sines and noise, in silence and in padded batches."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from tests.problems import TINY, tones
from torchmelinv.errors import InputError
from torchmelinv.metrics import band_level_db, edge_energy_db, third_octave_bands
from torchmelinv.metrics.long_term_spectrum import long_term_spectrum


def sine(hertz: float, n_samples: int = 8000) -> torch.Tensor:
    time = torch.arange(n_samples, dtype=torch.float64) / 8000
    # The taper keeps the beginning and the end from spreading over all frequencies.
    return torch.hann_window(n_samples).double() * torch.sin(2 * torch.pi * hertz * time)


def test_the_spectrum_has_the_energy_of_the_signal():
    """Squared Hann windows at a quarter of their length add up to 3/2, times n_fft by Parseval."""
    for n_samples in (100, 8000):
        signal = torch.randn(n_samples, dtype=torch.float64)
        energy, frequencies = long_term_spectrum(signal, 8000)
        n_fft = 2 * (len(frequencies) - 1)
        torch.testing.assert_close(energy.sum(), 1.5 * n_fft * signal.square().sum())
        assert frequencies[-1] == 4000


def test_bands_are_a_third_of_an_octave_below_half_of_the_sample_rate():
    centers = third_octave_bands(8000)
    assert centers[0] == pytest.approx(50, rel=0.01)
    assert centers[-1] == pytest.approx(3162, rel=0.01)  # its upper edge is 3548 Hz
    ratios = {round(high / low, 6) for low, high in itertools.pairwise(centers)}
    assert ratios == {round(10**0.1, 6)}
    with pytest.raises(InputError, match="sample_rate is 100"):
        third_octave_bands(100)


def test_a_louder_sine_raises_its_own_band_only():
    reference = sine(500) + sine(2000)
    result = band_level_db(2 * sine(500) + sine(2000), reference, 8000)
    bands = [round(center) for center in third_octave_bands(8000)]
    assert float(result[bands.index(501)]) == pytest.approx(20 * math.log10(2), abs=0.01)
    others = torch.cat([result[: bands.index(398)], result[bands.index(631) + 1 :]])
    assert float(others.abs().max()) < 0.01


def test_faint_bands_count_as_60_db_below_the_reference():
    result = band_level_db(sine(500) + 1e-4 * sine(2000), sine(500), 8000)
    assert float(result.abs().max()) < 0.1


def test_the_edges_of_white_noise_have_a_hundredth_of_its_energy():
    noise = torch.randn(80000, dtype=torch.float64)
    tone = sine(3990, 80000)
    tone = tone * noise.norm() / tone.norm()
    # The tone has as much energy as the noise: half of the sum, and the noise adds 1/200.
    lower, upper = edge_energy_db(noise + tone, noise, TINY)
    assert float(upper) == pytest.approx(10 * math.log10(0.505 / 0.01), abs=0.5)
    assert float(lower) == pytest.approx(-10 * math.log10(2), abs=0.5)
    # A band up to 2 kHz has its edge there, 20 Hz on both sides.
    lowpass = TINY.replace(f_max=2000)
    tones = [noise + 2 * sine(hertz, 80000) for hertz in (2010, 2200)]
    inside, outside = (edge_energy_db(tone, noise, lowpass)[1] for tone in tones)
    assert inside > 10
    assert outside < 0


def test_filters_of_another_sample_rate_are_at_other_frequencies():
    stretched = TINY.replace(f_max=2000, filterbank_sample_rate=16000)
    noise = torch.randn(8000, dtype=torch.float64)
    assert edge_energy_db(noise + 4 * sine(1000), noise, stretched)[1] > 10


def test_equality_silence_and_nan():
    signal, silence = tones(), torch.zeros(1600)
    for pair in ((signal, signal), (silence, silence)):
        assert not band_level_db(*pair, 8000).any()
        assert not edge_energy_db(*pair, TINY).any()
    for pair in ((signal, silence), (silence, signal)):
        assert band_level_db(*pair, 8000).isfinite().all()
        assert edge_energy_db(*pair, TINY).isfinite().all()
    assert band_level_db(torch.full((1600,), math.nan), signal, 8000).isnan().all()


def test_items_of_a_padded_batch_are_independent():
    estimate, reference = tones(items=(2,)) + 0.1 * torch.randn(2, 1600), tones(items=(2,))
    lengths = [1600, 817]
    estimate[1, 817:] = math.nan
    for metric, setting in ((band_level_db, 8000), (edge_energy_db, TINY)):
        result = metric(estimate, reference, setting, lengths=lengths)
        for item, length in enumerate(lengths):
            expected = metric(estimate[item, :length], reference[item, :length], setting)
            torch.testing.assert_close(result[item], expected, rtol=1e-4, atol=1e-4)
