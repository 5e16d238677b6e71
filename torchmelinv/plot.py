"""Pictures of mels and of metrics, by matplotlib (the extra `plot`), on figures of their own: no window, no global state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.files import aside
from torchmelinv.measure.scores import bootstrap_mean
from torchmelinv.scale import hz_to_mel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".pdf", ".svg")
RANGE_DB = 80.0  # below the original's peak nothing is drawn, and no difference counted
_HERTZ = (100, 200, 300, 500, 1000, 2000, 3000, 5000, 8000, 12000, 20000)
_LEAST_TICK_DISTANCE = 0.055  # of the axis


def _matplotlib() -> Any:
    try:
        from matplotlib import figure
    except ImportError as error:
        fix = "`pip install 'torchmelinv[plot]'` provides it"
        raise DependencyError(f"drawing needs matplotlib, which cannot be loaded ({error}); {fix}") from None
    return figure


def check_picture(path: str | Path) -> None:
    """Refuse, before any work, a path that no picture could be saved to, or a missing matplotlib."""
    suffix = Path(path).suffix
    if suffix.lower() not in PICTURES:
        came = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise InputError(f"the picture {str(path)!r} {came}; {', '.join(PICTURES)} can be drawn")
    _matplotlib()


def decibels(mel: Tensor, power: float, peak: float) -> Tensor:
    """Linear mel (n_mels, n_frames) -> dB relative to `peak`, from −RANGE_DB up; amplitudes and powers alike."""
    tiny = torch.finfo(mel.dtype).tiny
    relative = mel / peak if peak > 0 else torch.zeros_like(mel)
    return (20 / power * relative.clamp(min=tiny).log10()).clamp(min=-RANGE_DB)


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


def compare_mels(reference: Tensor, result: Tensor, convention: MelConvention, *, title: str = "") -> Figure:
    """Three panels over one time axis: the mel that came, the mel of what was made of it, and the difference.

    Both mels are linear, (n_mels, n_frames), and drawn in dB below the reference's peak.
    """
    if reference.ndim != 2 or reference.shape != result.shape:
        came = f"{tuple(reference.shape)} and {tuple(result.shape)}"
        raise InputError(f"the mels to compare have shapes {came}; both must be the same (n_mels, n_frames)")
    peak = float(reference.max())
    before, after = (decibels(mel.detach().float().cpu(), convention.power, peak).numpy() for mel in (reference, result))
    difference = after - before
    reach = max(3, math.ceil(np.percentile(np.abs(difference), 99.5)))
    seconds = reference.shape[-1] * convention.hop_length / convention.sample_rate
    extent = (0.0, seconds, -0.5, convention.n_mels - 0.5)
    figure = _matplotlib().Figure(figsize=(10.5, 9), dpi=130, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=13)
    audible = before > -RANGE_DB
    spread = float(np.sqrt(np.mean(difference[audible] ** 2))) if audible.any() else 0.0
    panels = (
        ("mel in", before, "magma", (-RANGE_DB, 0.0), "dB relative to the peak"),
        ("mel of the result", after, "magma", (-RANGE_DB, 0.0), "dB relative to the same peak"),
        (f"difference, result − in ({spread:.1f} dB r.m.s.)", difference, "RdBu_r", (-reach, reach), "dB"),
    )
    positions, labels = _frequency_ticks(convention)
    axes = figure.subplots(3, 1, sharex=True)
    for axis, (name, values, colours, (low, high), unit) in zip(axes, panels, strict=True):
        image = axis.imshow(values, origin="lower", aspect="auto", extent=extent, cmap=colours, vmin=low, vmax=high,
                            interpolation="none")
        axis.set_title(name, fontsize=11, loc="left")
        axis.set_yticks(positions, labels)
        axis.set_ylabel("band centre (Hz)")
        figure.colorbar(image, ax=axis, pad=0.01, extend="both" if colours == "RdBu_r" else "min").set_label(unit)
    axes[-1].set_xlabel("time (s)")
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
    figure.suptitle(title, fontsize=13)
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
        figure.legend(*drawn.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as png, pdf or svg; nothing partial is left at `path`."""
    check_picture(path)
    with aside(path) as temporary:
        figure.savefig(temporary)
