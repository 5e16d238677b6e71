"""Comparisons of spectra: the values, axes and titles that are drawn, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tests.tiny import TINY, tiny_mel
from torchmelinv import plot
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.errors import InputError
from torchmelinv.plot.panels import frequency_ticks
from torchmelinv.transforms.mel_filterbank import band_edges


@pytest.fixture
def mels():
    reference = torch.rand(8, 30) + 0.01
    return reference, reference * 10 ** (torch.randn(8, 30) / 40)


def drawn_values(figure):
    """Return the arrays of the three panels."""
    return [axis.images[0].get_array() for axis in figure.axes[:3]]


def test_three_panels_with_titles_units_and_color_bars(mels):
    figure = plot.compare_mels(*mels, TINY, title="a title")
    panels, color_bars = figure.axes[:3], figure.axes[3:]
    assert figure.get_suptitle() == "a title"
    titles = [panel.get_title(loc="left").split(",")[0] for panel in panels]
    assert titles == ["mel of the reference", "mel of the result", "difference"]
    assert all("Hz" in panel.get_ylabel() for panel in panels)
    assert panels[-1].get_xlabel() == "time (s)"
    assert all("dB" in bar.get_ylabel() for bar in color_bars)
    assert len(color_bars) == 2  # the mels share one
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim() == (-80, 0)
    assert panels[0].images[0].get_extent() == [0, 30 * 16 / 8000, -0.5, 7.5]


def test_values_are_in_decibels(mels):
    reference, result = mels
    first, second, difference = drawn_values(plot.compare_mels(reference, result, TINY))
    assert np.allclose(first, 20 * (reference / reference.max()).log10().numpy(), atol=1e-4)
    assert np.allclose(difference, 20 * (result / reference).log10().numpy(), atol=1e-4)
    assert first.max() == 0
    assert np.allclose(difference, second - first)
    figure = plot.compare_mels(reference**2, result**2, TINY.replace(power=2))
    assert np.allclose(drawn_values(figure)[0], first, atol=1e-4)


def test_below_the_range_nothing_differs():
    first_frame = torch.tensor([0])
    reference = torch.full((8, 5), 1e-9).index_fill(1, first_frame, 1.0)
    result = 1e-3 * reference.index_fill(1, first_frame, 1e3)
    difference = drawn_values(plot.compare_mels(reference, result, TINY))[2]
    assert not difference.any()


@pytest.mark.parametrize("mel", [torch.zeros(8, 5), torch.ones(8, 1)])
def test_silence_and_single_frames_are_drawn(mel, tmp_path):
    plot.save(plot.compare_mels(mel, mel, TINY), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("name", preset_names())
def test_ticks_are_at_their_bands(name):
    convention = preset(name)
    positions, labels = frequency_ticks(convention)
    stretch = convention.sample_rate / convention.filterbank_sample_rate
    centers = band_edges(convention)[1:-1] * stretch
    last_band = convention.n_mels - 1
    assert len(positions) >= 3
    for position, label in zip(positions, labels, strict=True):
        hertz = float(label.replace("k", "")) * (1000 if label.endswith("k") else 1)
        if 0 <= position <= last_band:
            below, above = centers[int(np.floor(position))], centers[int(np.ceil(position))]
            assert below * 0.99 <= hertz <= above * 1.01


@pytest.mark.parametrize(
    "shapes", [((8, 5), (8, 6)), ((8,), (8,)), ((1, 8, 5), (1, 8, 5)), ((5, 8), (5, 8))]
)
def test_wrong_shapes_are_refused(shapes):
    with pytest.raises(InputError, match=r"same \(8, n_frames\)"):
        plot.compare_mels(*(torch.ones(shape) for shape in shapes), TINY)


@pytest.mark.parametrize("draw", [plot.compare_mels, plot.compare_spectrograms])
def test_logarithms_and_complex_spectra_are_refused(draw):
    linear = torch.ones(8 if draw is plot.compare_mels else TINY.n_freqs, 5)
    for wrong, message in (
        (linear.log() - 5, "below 0.*to_linear_mel"),
        (linear * torch.nan, "NaN"),
        (linear + 0j, "take its magnitude first"),
        (linear.numpy(), "must be a torch.Tensor"),
    ):
        for pair in ((linear, wrong), (wrong, linear)):
            with pytest.raises(InputError, match=message):
                draw(*pair, TINY)


def test_a_convention_may_be_a_name():
    mel = torch.rand(80, 5)
    labels = [
        [tick.get_text() for tick in plot.compare_mels(mel, mel, each).axes[0].get_yticklabels()]
        for each in ("hifigan_22k", preset("hifigan_22k"))
    ]
    assert labels[0] == labels[1]
    assert plot.compare_spectrograms(torch.rand(513, 5), torch.rand(513, 5), "hifigan_22k")


def test_spectrograms_are_magnitudes_over_hertz():
    reference = torch.rand(TINY.n_freqs, 20) + 0.01
    convention = TINY.replace(power=2)  # of its mels, not of magnitudes
    figure = plot.compare_spectrograms(reference, 0.5 * reference, convention, title="a title")
    first, second, difference = (axis.images[0] for axis in figure.axes[:3])
    expected = 20 * (reference / reference.max()).log10().numpy()
    assert np.allclose(first.get_array(), expected, atol=1e-4)
    assert np.allclose(difference.get_array(), 20 * np.log10(0.5), atol=1e-3)
    assert first.get_clim() == second.get_clim() == (-80, 0)
    left, right, bottom, top = first.get_extent()
    centers = bottom + (np.arange(TINY.n_freqs) + 0.5) * (top - bottom) / TINY.n_freqs
    assert np.allclose(centers, np.linspace(0, TINY.sample_rate / 2, TINY.n_freqs))
    assert (left, right) == (0, 20 * 16 / 8000)
    assert [axis.get_ylabel() for axis in figure.axes[:3]] == ["frequency (Hz)"] * 3
    with pytest.raises(InputError, match=r"spectrograms to compare .* same \(33, n_frames\)"):
        plot.compare_spectrograms(reference, reference[:-1], TINY)


def test_one_mel_into_own_and_given_axes():
    mel = tiny_mel()
    figure = plot.show_mel(mel, TINY, title="a title")
    assert figure.get_suptitle() == "a title"
    axes, color_bar = figure.axes
    linear = mel.exp()
    expected = 20 * (linear / linear.max()).log10().clamp(min=-4)
    assert np.allclose(axes.images[0].get_array(), expected.numpy(), atol=1e-3)
    assert axes.images[0].get_extent() == [0, mel.shape[-1] * 16 / 8000, -0.5, 7.5]
    assert "dB" in color_bar.get_ylabel()
    own = Figure()
    first, second = own.subplots(2, 1)
    assert plot.show_mel(mel.numpy(), TINY, ax=second, title="second") is own
    assert (len(first.images), len(second.images)) == (0, 1)
    assert second.get_title() == "second"


@pytest.mark.parametrize(
    "mel", [torch.zeros(2, 8, 5), torch.zeros(7, 5), torch.full((8, 5), torch.nan)]
)
def test_what_is_no_mel_is_not_drawn(mel):
    with pytest.raises(InputError, match="the mel has"):
        plot.show_mel(mel, TINY)
