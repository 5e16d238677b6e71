"""Pictures of spectra, convergence and metrics, by matplotlib (the extra `plot`): figures of their own, no window, no state."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.files import aside, require
from torchmelinv.iterate import Solution
from torchmelinv.measure.scores import bootstrap_mean
from torchmelinv.ops.checks import as_real
from torchmelinv.presets import as_convention
from torchmelinv.scale import hz_to_mel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".pdf", ".svg")
RANGE_DB = 80.0  # below the original's peak nothing is drawn, and no difference counted
_HERTZ = (100, 200, 300, 500, 1000, 2000, 3000, 5000, 8000, 12000, 20000)
_LEAST_TICK_DISTANCE = 0.085  # of the axis
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito (2008)


def _matplotlib() -> Any:
    require("matplotlib", "plot")
    return require("matplotlib.figure", "plot")


def check_picture(path: str | Path) -> None:
    """Refuse, before any work, a path that no picture could be saved to, or a missing matplotlib."""
    suffix = Path(path).suffix
    if suffix.lower() not in PICTURES:
        came = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise InputError(f"the picture {str(path)!r} {came}; {', '.join(PICTURES)} can be drawn")
    _matplotlib()


def decibels(mel: Tensor, power: float, peak: float) -> Tensor:
    """Linear mel (n_mels, n_frames) -> dB relative to `peak`, from −RANGE_DB up; amplitudes (`power` 1) or powers (2)."""
    tiny = torch.finfo(mel.dtype).tiny
    relative = mel / peak if peak > 0 else torch.zeros_like(mel)
    return (20 / power * relative.clamp(min=tiny).log10()).clamp(min=-RANGE_DB)


def _residual_db(residual: Tensor) -> NDArray[np.float64]:
    """Residuals in dB; NaN, which is not drawn, where one is exactly zero."""
    return torch.where(residual > 0, 20 * residual.log10(), torch.nan).numpy()


def _frequency_ticks(convention: MelConvention) -> tuple[list[float], list[str]]:
    """Round frequencies and the (fractional) bands that are centred on them."""
    # Filters made for another rate sit at other frequencies of the waveform.
    stretch = convention.sample_rate / convention.filterbank_sample_rate
    low, high = hz_to_mel([convention.f_min, convention.f_max], convention.mel_scale)
    positions, labels, previous = [], [], -math.inf
    for hertz in _HERTZ:
        band = float((hz_to_mel(hertz / stretch, convention.mel_scale) - low) / (high - low)) * (convention.n_mels + 1) - 1
        if -0.5 <= band <= convention.n_mels - 0.5 and band - previous >= _LEAST_TICK_DISTANCE * convention.n_mels:
            positions.append(band)
            labels.append(f"{hertz // 1000}k" if hertz >= 1000 else str(hertz))
            previous = band
    return positions, labels


def _compare(
    what: str, before: Tensor, after: Tensor, convention: MelConvention, power: float, ends: tuple[float, float], title: str
) -> tuple[Figure, list[Any]]:
    """Three panels of two linear spectra (rows, n_frames) and their difference, with the `ends` of their axes, and those axes."""
    rows = convention.n_mels if what == "mel" else convention.n_freqs
    before, after = (as_real(each, f"a {what}").detach().float().cpu() for each in (before, after))
    if before.ndim != 2 or before.shape != after.shape or before.shape[0] != rows:
        came = f"{tuple(before.shape)} and {tuple(after.shape)}"
        raise InputError(f"the {what}s to compare have shapes {came}; both must be the same ({rows}, n_frames)")
    if not all((each >= 0).all() for each in (before, after)):
        raise InputError(f"a {what} has values below 0, or NaN; give linear ones (`MelInverter.to_linear` undoes a logarithm)")
    peak = float(before.max())
    reference, result = (decibels(each, power, peak).numpy() for each in (before, after))
    difference = result - reference
    reach = max(3, math.ceil(np.percentile(np.abs(difference), 99.5)))
    seconds = before.shape[-1] * convention.hop_length / convention.sample_rate
    figure = _matplotlib().Figure(figsize=(8.5, 7), dpi=130, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=13, parse_math=False)
    audible = reference > -RANGE_DB
    spread = float(np.sqrt(np.mean(difference[audible] ** 2))) if audible.any() else 0.0
    panels = (
        (f"{what} of the reference", reference, "magma", -RANGE_DB, 0.0),
        (f"{what} of the result", result, "magma", -RANGE_DB, 0.0),
        (f"difference, result − reference ({spread:.1f} dB r.m.s.)", difference, "RdBu_r", -reach, reach),
    )
    axes = list(figure.subplots(3, 1, sharex=True))
    images = []
    for axis, (name, values, colours, low, high) in zip(axes, panels, strict=True):
        image = axis.imshow(values, origin="lower", aspect="auto", extent=(0.0, seconds, *ends), interpolation="none",
                            cmap=colours, vmin=low, vmax=high)
        axis.set_title(name, fontsize=11, loc="left")
        images.append(image)
    figure.colorbar(images[0], ax=axes[:2], pad=0.01, aspect=40, extend="min").set_label("dB relative to the reference's peak")
    figure.colorbar(images[2], ax=axes[2], pad=0.01, extend="both").set_label("dB")
    axes[-1].set_xlabel("time (s)")
    return figure, axes


def compare_mels(reference: Tensor, result: Tensor, convention: MelConvention | str, *, title: str = "") -> Figure:
    """Three panels over one time axis: a mel, the mel of what was made of it (`result`), and the difference.

    Both mels are linear, (n_mels, n_frames), and drawn in dB relative to the reference's peak; the axis is the mel scale.
    `InputError` for other shapes and for values below 0, as logarithms have.
    """
    convention = as_convention(convention)
    figure, axes = _compare("mel", reference, result, convention, convention.power, (-0.5, convention.n_mels - 0.5), title)
    for axis in axes:
        axis.set_yticks(*_frequency_ticks(convention))
        axis.set_ylabel("band centre (Hz)")
    return figure


def compare_spectrograms(reference: Tensor, result: Tensor, convention: MelConvention | str, *, title: str = "") -> Figure:
    """`compare_mels` for two magnitudes |STFT|, (n_freqs, n_frames); the axis is linear in Hz."""
    convention = as_convention(convention)
    spacing = convention.sample_rate / convention.n_fft
    ends = (-0.5 * spacing, (convention.n_freqs - 0.5) * spacing)
    figure, axes = _compare("spectrogram", reference, result, convention, 1.0, ends, title)
    for axis in axes:
        axis.set_ylabel("frequency (Hz)")
    return figure


def convergence(solutions: Mapping[str, Solution], *, title: str = "") -> Figure:
    """Residuals of `MelInverter.solve` in dB after each iteration; a colour for each of `solutions`, by its name.

    Of a batch a thin line for each item, up to where it stopped, and a thick one for their median; a dot where a tolerance
    stopped an item. Methods differ in what a residual is: curves of `mel_consistent` compare with each other alone.
    """
    if not solutions or any(solution.history.numel() == 0 for solution in solutions.values()):
        raise InputError("there is no history to draw; give solutions of one iteration or more, as `solve` returns them")
    figure = _matplotlib().Figure(figsize=(8.5, 4), dpi=130, layout="constrained")
    figure.suptitle(title, fontsize=13, parse_math=False)
    axis = figure.subplots()
    for (name, solution), colour in zip(solutions.items(), itertools.cycle(_COLOURS), strict=False):
        history = solution.history.detach().double().cpu().reshape(len(solution.history), -1)
        iterations = range(1, len(history) + 1)
        axis.plot(iterations, _residual_db(history.quantile(0.5, 1)), color=colour, linewidth=2.2, label=name)
        for residual, steps, stopped in zip(history.T, solution.steps.flatten(), solution.converged.flatten(), strict=True):
            curve = _residual_db(residual[: int(steps)])
            axis.plot(iterations[: len(curve)], curve, color=colour, linewidth=0.8, alpha=0.5)
            if stopped:
                axis.plot(len(curve), curve[-1], "o", color=colour, markersize=6, markeredgecolor="white", zorder=3)
    if any(solution.history.ndim > 1 for solution in solutions.values()):
        axis.plot([], [], color="0.4", linewidth=0.8, label="an item")
    if any(solution.converged.any() for solution in solutions.values()):
        axis.plot([], [], "o", color="0.4", markersize=6, markeredgecolor="white", label="stopped by its tolerance")
    axis.set(xlabel="iteration", ylabel="residual (dB)")
    axis.margins(x=0.02)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def distributions(values: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """A panel for each metric, by its label: a point for every pair, and what `bootstrap_mean` makes of them.

    What is not finite is left out. Where points lie across the panel means nothing; it only keeps them apart.
    """
    if not values:
        raise InputError("there are no values to draw")
    columns = min(2, len(values))
    rows = math.ceil(len(values) / columns)
    figure = _matplotlib().Figure(figsize=(4.8 * columns, 1.1 + 1.3 * rows), dpi=130, layout="constrained")
    figure.suptitle(title, fontsize=13, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in panels[len(values) :]:
        axis.set_visible(False)
    for axis, (label, entries) in zip(panels, values.items(), strict=False):
        finite = np.array([value for value in entries if math.isfinite(value)])
        count = len(finite)
        whole = f"{label} ({count} pair{'s' if count > 1 else ''})" if count else f"{label}: not defined"
        axis.set_title(whole, fontsize=11, loc="left")
        axis.set(ylim=(0, 1), yticks=[])
        axis.locator_params(axis="x", nbins=6)
        axis.spines[["left", "right", "top"]].set_visible(False)
        if not count:
            axis.set_xticks([])
            continue
        low, middle, high = np.percentile(finite, (25, 50, 75))
        axis.broken_barh([(low, high - low)], (0.3, 0.6), facecolor="0.9", label="the middle half")
        axis.vlines(middle, 0.3, 0.9, color="0.5", label="median")
        height = 0.34 + 0.52 * np.random.default_rng(0).random(count)
        opacity = min(0.7, max(0.05, 40 / count))
        axis.plot(finite, height, "o", color="tab:purple", markersize=4.5, alpha=opacity, markeredgewidth=0, label="a pair")
        mean = bootstrap_mean(finite)
        reach = None if math.isnan(mean.low) else [[mean.mean - mean.low], [mean.high - mean.mean]]
        axis.errorbar(mean.mean, 0.14, xerr=reach, fmt="D", color="tab:orange", markersize=5, capsize=3,
                      label="mean, 95 % interval")
    drawn = next((axis for axis in panels if axis.has_data()), None)
    if drawn is not None:
        entries = drawn.get_legend_handles_labels()
        figure.legend(*entries, loc="outside lower center", ncols=2 * columns, frameon=False, fontsize=10)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as png, pdf or svg; nothing partial is left at `path`."""
    check_picture(path)
    with aside(path) as temporary:
        figure.savefig(temporary)
