"""Pictures: what is drawn is what the mels hold, on axes that say so, without a window."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel
from torchmelinv import plot
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.filterbank import band_edges
from torchmelinv.invert import MelInverter
from torchmelinv.iterate import Solution
from torchmelinv.presets import preset, preset_names


@pytest.fixture
def mels():
    reference = torch.rand(8, 30) + 0.01
    return reference, reference * 10 ** (torch.randn(8, 30) / 40)


def test_three_panels_with_titles_units_and_bars(mels):
    figure = plot.compare_mels(*mels, TINY, title="a title")
    panels, bars = figure.axes[:3], figure.axes[3:]
    assert figure.get_suptitle() == "a title"
    titles = [panel.get_title(loc="left").split(",")[0] for panel in panels]
    assert titles == ["mel of the reference", "mel of the result", "difference"]
    assert all("Hz" in panel.get_ylabel() for panel in panels)
    assert panels[-1].get_xlabel() == "time (s)"
    assert all("dB" in bar.get_ylabel() for bar in bars)
    assert len(bars) == 2  # the mels share one
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim() == (-80, 0)
    assert panels[0].images[0].get_extent() == [0, 30 * 16 / 8000, -0.5, 7.5]


def test_what_is_drawn_is_in_decibels(mels):
    reference, result = mels
    first, second, difference = (axis.images[0].get_array() for axis in plot.compare_mels(reference, result, TINY).axes[:3])
    assert np.allclose(first, 20 * (reference / reference.max()).log10().numpy(), atol=1e-4)
    assert np.allclose(difference, 20 * (result / reference).log10().numpy(), atol=1e-4)
    assert first.max() == 0
    assert np.allclose(difference, second - first)
    powers = plot.compare_mels(reference**2, result**2, TINY.replace(power=2)).axes[0].images[0].get_array()
    assert np.allclose(powers, first, atol=1e-4)


def test_below_the_range_nothing_differs():
    reference = torch.full((8, 5), 1e-9).index_fill(1, torch.tensor([0]), 1.0)
    difference = plot.compare_mels(reference, 1e-3 * reference.index_fill(1, torch.tensor([0]), 1e3), TINY).axes[2].images[0]
    assert not difference.get_array().any()


@pytest.mark.parametrize("mel", [torch.zeros(8, 5), torch.ones(8, 1)])
def test_silence_and_single_frames_are_drawn(mel, tmp_path):
    plot.save(plot.compare_mels(mel, mel, TINY), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("name", preset_names())
def test_ticks_stand_on_their_bands(name):
    convention = preset(name)
    positions, labels = plot._frequency_ticks(convention)
    centres = band_edges(convention)[1:-1] * convention.sample_rate / convention.filterbank_sample_rate
    assert len(positions) >= 3
    for position, label in zip(positions, labels, strict=True):
        hertz = float(label.replace("k", "")) * (1000 if label.endswith("k") else 1)
        bands = (min(max(int(edge), 0), convention.n_mels - 1) for edge in (np.floor(position), np.ceil(position)))
        below, above = (float(centres[band]) for band in bands)
        assert below * 0.99 <= hertz <= above * 1.01 or position < 0 or position > convention.n_mels - 1


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")])
def test_formats(mels, tmp_path, suffix, start):
    plot.save(plot.compare_mels(*mels, TINY), tmp_path / f"x{suffix}")
    assert (tmp_path / f"x{suffix}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("shapes", [((8, 5), (8, 6)), ((8,), (8,)), ((1, 8, 5), (1, 8, 5)), ((5, 8), (5, 8))])
def test_mels_that_cannot_be_compared(shapes):
    with pytest.raises(InputError, match=r"same \(8, n_frames\)"):
        plot.compare_mels(*(torch.ones(shape) for shape in shapes), TINY)


@pytest.mark.parametrize("draw", [plot.compare_mels, plot.compare_spectrograms])
def test_logarithms_and_complex_spectra_are_refused_by_name(draw):
    linear = torch.ones(8 if draw is plot.compare_mels else TINY.n_freqs, 5)
    for wrong, says in (
        (linear.log() - 5, "below 0.*to_linear"), (linear * torch.nan, "NaN"), (linear + 0j, "take its magnitude first"),
        (linear.numpy(), "must be a torch.Tensor"),
    ):
        for pair in ((linear, wrong), (wrong, linear)):
            with pytest.raises(InputError, match=says):
                draw(*pair, TINY)


def test_a_convention_may_be_a_name():
    mel = torch.rand(80, 5)
    ours, theirs = (plot.compare_mels(mel, mel, convention).axes[0] for convention in ("hifigan_22k", preset("hifigan_22k")))
    assert [tick.get_text() for tick in ours.get_yticklabels()] == [tick.get_text() for tick in theirs.get_yticklabels()]
    assert plot.compare_spectrograms(torch.rand(513, 5), torch.rand(513, 5), "hifigan_22k")


@pytest.mark.parametrize(("name", "says"), [("x.gif", "ends in '.gif'; .png, .pdf, .svg"), ("x", "has no suffix")])
def test_other_formats_are_refused(name, says):
    with pytest.raises(InputError, match=says):
        plot.check_picture(name)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyError, match=r"pip install 'torchmelinv\[plot\]'"):
        plot.check_picture("x.png")


def test_spectrograms_have_hertz_and_the_same_scale():
    reference = torch.rand(TINY.n_freqs, 20) + 0.01
    figure = plot.compare_spectrograms(reference, 0.5 * reference, TINY.replace(power=2), title="a title")
    first, second, difference = (axis.images[0] for axis in figure.axes[:3])
    assert np.allclose(first.get_array(), 20 * (reference / reference.max()).log10().numpy(), atol=1e-4)  # of magnitudes
    assert np.allclose(difference.get_array(), 20 * np.log10(0.5), atol=1e-3)
    assert first.get_clim() == second.get_clim() == (-80, 0)
    left, right, bottom, top = first.get_extent()
    centres = bottom + (np.arange(TINY.n_freqs) + 0.5) * (top - bottom) / TINY.n_freqs
    assert np.allclose(centres, np.linspace(0, TINY.sample_rate / 2, TINY.n_freqs))
    assert (left, right) == (0, 20 * 16 / 8000)
    assert [axis.get_ylabel() for axis in figure.axes[:3]] == ["frequency (Hz)"] * 3
    with pytest.raises(InputError, match=r"spectrograms to compare .* same \(33, n_frames\)"):
        plot.compare_spectrograms(reference, reference[:-1], TINY)


def solution(residuals: torch.Tensor, steps: list[int] | int, converged: list[bool] | bool) -> Solution:
    """As `solve` gives it; of it only the account matters here."""
    return Solution(torch.zeros(8), torch.tensor(steps), residuals[-1], torch.tensor(converged), residuals)


def test_convergence_has_a_line_for_each_item_until_it_stopped_and_their_median():
    history = 10.0 ** (-torch.tensor([[1.0, 2, 3], [2, 2, 4], [2, 3, 5], [2, 4, 6]]) / 20)
    batch = solution(history, [2, 4, 4], [True, False, True])
    axis = plot.convergence({"batch": batch, "one": solution(history[:, 2], 4, False)}, title="a title").axes[0]
    median, *items, one, _ = (line for line in axis.lines if line.get_marker() == "None" and len(line.get_xdata()))
    assert median.get_label() == "batch"
    assert np.allclose(median.get_ydata(), [-2, -2, -3, -4], atol=1e-3)
    assert [list(line.get_xdata()) for line in items] == [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4]]
    assert np.allclose(items[2].get_ydata(), [-3, -4, -5, -6], atol=1e-3)
    assert one.get_color() != median.get_color() == items[0].get_color()
    dots = [line for line in axis.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], round(float(line.get_ydata()[0]), 3)) for line in dots] == [(2, -2), (4, -6)]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["batch", "one", "an item", "stopped by its tolerance"]
    assert "dB" in axis.get_ylabel()


def test_convergence_draws_what_an_inverter_tells():
    mels = torch.stack([tiny_mel(), tiny_mel(seed=1), torch.full_like(tiny_mel(), float(np.log(1e-5)))])
    found = {phase: MelInverter(TINY, phase=phase, n_iter=5, tolerance=0.1).solve(mels) for phase in ("mel_consistent", "raar")}
    plot.convergence(found).canvas.draw()
    silence = solution(torch.zeros(3), 1, True)
    plot.convergence({"silence": silence}).canvas.draw()  # no decibels, no warning


@pytest.mark.parametrize("solutions", [{}, {"none": solution(torch.zeros(1, 0), [], [])}])
def test_no_history_to_draw(solutions):
    with pytest.raises(InputError, match="no history"):
        plot.convergence(solutions)


def test_no_window_and_no_global_state(mels):
    plot.compare_mels(*mels, TINY)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_distributions_have_a_point_for_each_pair_and_the_mean_of_all():
    values = {"PESQ-WB": [3.9, 4.1, 4.0, 3.2], "mel error, dB": [-20.0, -30.0, np.nan], "one": [1.0], "none": [-np.inf]}
    figure = plot.distributions(values, title="a title")
    assert figure.get_suptitle() == "a title"
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["PESQ-WB (4 pairs)", "mel error, dB (2 pairs)", "one (1 pair)", "none: not defined"]
    points = [next((line.get_xdata() for line in axis.lines if line.get_label() == "a pair"), []) for axis in figure.axes]
    assert [list(each) for each in points] == [[3.9, 4.1, 4.0, 3.2], [-20, -30], [1], []]
    bars = [axis.containers[0] for axis in figure.axes if axis.containers]
    assert [bar.lines[0].get_xdata()[0] for bar in bars] == pytest.approx([3.8, -25, 1])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["the middle half", "median", "a pair", "mean, 95 % interval"]
    with pytest.raises(InputError, match="no values"):
        plot.distributions({})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_legend_stays_within_the_picture(count):
    figure = plot.distributions({name: [1.0, 2.0, 4.0] for name in "abc"[:count]})
    figure.canvas.draw()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1


def test_thousands_of_pairs_and_three_panels():
    figure = plot.distributions({name: torch.randn(5000).tolist() for name in "abc"})
    figure.canvas.draw()
    assert [axis.get_visible() for axis in figure.axes] == [True, True, True, False]
