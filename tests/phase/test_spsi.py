"""SPSI: sinusoids and glides are reconstructed; regions, offsets and continuation in chunks."""

from __future__ import annotations

import math

import pytest
import torch

from tests.phase.sinusoids import (
    CONVENTION,
    F64,
    GLIDE,
    TIME,
    WINDOWS_AND_HOPS,
    inner_error_db,
    sinusoid,
    spectrum_of,
)
from tests.problems import tones
from torchmelinv._utils.control_flow import fixed_control_flow
from torchmelinv.phase.spsi import _double_offsets, _peaks, spsi


@pytest.mark.parametrize("position", [10.0, 10.3, 20.5, 41.8])
def test_a_sinusoid_between_bins_is_reconstructed(position):
    magnitude = spectrum_of(sinusoid(position)).abs()
    assert inner_error_db(spsi(magnitude, CONVENTION), magnitude) < -34


@pytest.mark.parametrize("convention", WINDOWS_AND_HOPS)
def test_every_window_and_alignment(convention):
    magnitude = spectrum_of(sinusoid(20.3, convention), convention).abs()
    assert inner_error_db(spsi(magnitude, convention), magnitude, convention) < -27


def test_a_glide_and_two_tones():
    for signal, bound in ((GLIDE, -29), (sinusoid(10.3) + 0.4 * sinusoid(30.7), -34)):
        magnitude = spectrum_of(signal).abs()
        assert inner_error_db(spsi(magnitude, CONVENTION), magnitude) < bound


def test_sinusoids_are_at_their_maximum_in_the_first_frame():
    # Even around the first sample, which is the center of the first frame.
    signal = torch.cos(2 * math.pi * 10 * TIME / 128)
    convention = CONVENTION.replace(padding="center_reflect")
    spectrum = spectrum_of(signal, convention)
    angles = spsi(spectrum.abs(), convention)[0, :8, 10:12]
    expected = spectrum[0, :8, 10:12].angle()
    torch.testing.assert_close(angles.cos(), expected.cos(), atol=1e-6, rtol=0)


def test_the_region_of_a_peak_reaches_from_valley_to_valley():
    frames = [
        [1.0, 3, 2, 1, 1.5, 4, 2],
        [3.0, 2, 1, 1, 1, 2, 2],
        [0.0, 0, 0, 0, 0, 0, 0],
        [5.0, 3, 3, 3, 3, 3, 3],
    ]
    peaks = _peaks(torch.tensor([frames]))[0]
    # Bin 3 is a valley, and bin 2 its louder neighbor.
    assert peaks[0].tolist() == [1, 1, 1, 1, 5, 5, 5]
    assert peaks[1].tolist() == [0, 0, 0, 5, 5, 5, 5]
    assert peaks[2].tolist() == [0] * 7  # silence is a flat stretch, too
    assert peaks[3].tolist() == [0] * 7


def test_offsets_of_a_parabola_in_log_magnitude_are_exact():
    bins = torch.arange(7, dtype=F64)
    offset = _double_offsets((-0.7 * (bins - 3.2).square()).exp()) / 2
    assert math.isclose(float(offset[3]), 0.2, abs_tol=1e-12)
    assert offset[[0, -1]].tolist() == [0, 0]


def test_previous_continues_the_angles():
    magnitude = spectrum_of(sinusoid(10.3)).abs()
    whole = spsi(magnitude, CONVENTION)
    continued = spsi(magnitude[:, 20:], CONVENTION, previous=whole[:, 19])
    lobe = slice(9, 13)
    difference = (continued - whole[:, 20:])[..., lobe]
    assert (difference.cos() > 1 - 1e-9).all()
    restarted = spsi(magnitude[:, 20:], CONVENTION)
    assert ((restarted - whole[:, 20:])[..., lobe].cos() < 0.99).any()


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_angles_do_not_depend_on_scale_batch_and_padding(dtype):
    magnitude = spectrum_of(tones(1600, (3,), dtype)).abs()
    angles = spsi(magnitude, CONVENTION)
    assert (angles.dtype, angles.shape) == (dtype, magnitude.shape)
    assert ((angles >= 0) & (angles < 6.2832)).all()
    assert torch.equal(angles, spsi(magnitude * 2.0**-40, CONVENTION))
    scaled = spsi(magnitude * 3.7, CONVENTION)
    assert ((scaled - angles).cos() > 1 - 1e-6).all()
    assert torch.equal(angles[1:2], spsi(magnitude[1:2], CONVENTION))
    padded = torch.cat([magnitude, torch.zeros_like(magnitude[:, :9])], 1)
    assert torch.equal(angles, spsi(padded, CONVENTION)[:, : magnitude.shape[1]])


def test_silence_is_finite_and_no_gradient_passes():
    magnitude = spectrum_of(tones(1600, (2,))).abs()
    magnitude[0], magnitude[1, 5:9] = 0, 0
    angles = spsi(magnitude.requires_grad_(), CONVENTION)
    assert angles.isfinite().all()
    assert not angles.requires_grad


@pytest.mark.parametrize("n_frames", [1, 2, 3, 40])
def test_jumps_give_the_same_angles_as_one_frame_after_the_other(n_frames):
    magnitude = spectrum_of(tones(1600, (3,))).abs()[:, :n_frames]
    for previous in (None, 6 * torch.rand(3, CONVENTION.n_freqs, dtype=magnitude.dtype)):
        expected = spsi(magnitude, CONVENTION, previous)
        with fixed_control_flow():
            assert torch.equal(spsi(magnitude, CONVENTION, previous), expected)
