"""Spectra as images over time: one mel, or two spectra and their difference."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import check_real
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.errors import InputError
from torchmelinv.plot.output import axes_of, new_figure
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mel_checks import check_mel_shape
from torchmelinv.transforms.mel_scale import hz_to_mel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["compare_mels", "compare_spectrograms", "show_mel"]

RANGE_DB = 80.0  # below the reference's peak, where values are clamped
_TICKS_HZ = (100, 200, 300, 500, 1000, 2000, 3000, 5000, 8000, 12000, 20000)
_TICK_DISTANCE = 0.085  # at least, as a part of the axis


def decibels(values: Tensor, power: float, peak: float) -> NDArray[np.float32]:
    """Return |STFT|^power in dB relative to the peak, at least −RANGE_DB."""
    relative = values / peak if peak > 0 else torch.zeros_like(values)
    tiny = torch.finfo(values.dtype).tiny
    return (20 / power * relative.clamp(min=tiny).log10()).clamp(min=-RANGE_DB).numpy()


def frequency_ticks(convention: MelConvention) -> tuple[list[float], list[str]]:
    """Return the (fractional) bands that are centered on round frequencies, and their labels."""
    # Filters made for another sample rate are at other frequencies of the waveform.
    stretch = convention.sample_rate / convention.filterbank_sample_rate
    low, high = hz_to_mel([convention.f_min, convention.f_max], convention.mel_scale)
    positions: list[float] = []
    labels: list[str] = []
    for hertz in _TICKS_HZ:
        mel = hz_to_mel(hertz / stretch, convention.mel_scale)
        band = float((mel - low) / (high - low)) * (convention.n_mels + 1) - 1
        previous = positions[-1] if positions else -math.inf
        in_range = -0.5 <= band <= convention.n_mels - 0.5
        if in_range and band - previous >= _TICK_DISTANCE * convention.n_mels:
            positions.append(band)
            labels.append(f"{hertz // 1000}k" if hertz >= 1000 else str(hertz))
    return positions, labels


def _check_spectra(
    reference: Tensor, result: Tensor, kind: str, rows: int
) -> tuple[Tensor, Tensor]:
    """Return both in float32 on the CPU; refuse wrong shapes and values below 0."""
    reference, result = (
        check_real(each, f"a {kind}").detach().float().cpu() for each in (reference, result)
    )
    if reference.ndim != 2 or reference.shape != result.shape or reference.shape[0] != rows:
        shapes = f"{tuple(reference.shape)} and {tuple(result.shape)}"
        raise InputError(
            f"the {kind}s to compare have shapes {shapes}; both must be the same ({rows}, n_frames)"
        )
    if not all((each >= 0).all() for each in (reference, result)):
        raise InputError(
            f"a {kind} has values below 0, or NaN; give linear values "
            "(`MelInverter.to_linear_mel` undoes a logarithm)"
        )
    return reference, result


def _compare(
    kind: str,
    spectra: tuple[Tensor, Tensor],
    power: float,
    seconds: float,
    ends: tuple[float, float],
    title: str,
) -> tuple[Figure, list[Any]]:
    """Draw a reference, a result and their difference; return the figure and its three axes.

    The spectra are (rows, n_frames) and last `seconds`; their frequency axis has the `ends`.
    """
    peak = float(spectra[0].max())
    reference, result = (decibels(each, power, peak) for each in spectra)
    difference = result - reference
    visible = reference > -RANGE_DB
    rms = float(np.sqrt(np.mean(difference[visible] ** 2))) if visible.any() else 0.0
    limit = max(3, math.ceil(np.percentile(np.abs(difference), 99.5)))
    difference_title = f"difference, result − reference ({rms:.1f} dB r.m.s.)"
    panels = (
        (f"{kind} of the reference", reference, "magma", -RANGE_DB, 0.0),
        (f"{kind} of the result", result, "magma", -RANGE_DB, 0.0),
        (difference_title, difference, "RdBu_r", -limit, limit),
    )
    figure = new_figure(8.5, 7, title)
    axes = list(figure.subplots(3, 1, sharex=True))
    images = []
    for axis, (name, values, colormap, low, high) in zip(axes, panels, strict=True):
        image = axis.imshow(
            values,
            origin="lower",
            aspect="auto",
            extent=(0.0, seconds, *ends),
            interpolation="none",
            cmap=colormap,
            vmin=low,
            vmax=high,
        )
        axis.set_title(name, fontsize=11, loc="left")
        images.append(image)
    shared = figure.colorbar(images[0], ax=axes[:2], pad=0.01, aspect=40, extend="min")
    shared.set_label("dB relative to the reference's peak")
    figure.colorbar(images[2], ax=axes[2], pad=0.01, extend="both").set_label("dB")
    axes[-1].set_xlabel("time (s)")
    return figure, axes


@named_options
def compare_mels(
    reference: Tensor,
    result: Tensor,
    convention: MelConvention | str | os.PathLike[str],
    *,
    title: str = "",
) -> Figure:
    """Draw two linear mels and their difference.

    The mels are drawn in dB relative to the reference's peak, over the mel scale.

    Args:
        reference: Linear mel (n_mels, n_frames), as `MelSpectrogram.linear_mel` returns it.
        result: Linear mel of the same shape, for example of the inverted waveform.
        convention: The convention of the mels.
        title: Title of the figure.

    Returns:
        Figure with three panels.

    Raises:
        InputError: If a shape does not fit, or a value is below 0, as logarithms are.
        ConventionError: If there is no such convention.
        DependencyError: If matplotlib is missing; the extra `plot` provides it.

    Shape:
        - reference: (n_mels, n_frames)
        - result: (n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = torch.rand(80, 40)
        >>> figure = tmi.plot.compare_mels(mel, 1.1 * mel, "hifigan_22k")
        >>> figure.axes[2].get_title(loc="left")
        'difference, result − reference (0.8 dB r.m.s.)'
    """
    convention = as_convention(convention)
    spectra = _check_spectra(reference, result, "mel", convention.n_mels)
    seconds = reference.shape[-1] * convention.hop_length / convention.sample_rate
    ends = (-0.5, convention.n_mels - 0.5)
    figure, axes = _compare("mel", spectra, convention.power, seconds, ends, title)
    for axis in axes:
        axis.set_yticks(*frequency_ticks(convention))
        axis.set_ylabel("band center (Hz)")
    return figure


@named_options
def compare_spectrograms(
    reference: Tensor,
    result: Tensor,
    convention: MelConvention | str | os.PathLike[str],
    *,
    title: str = "",
) -> Figure:
    """Draw two magnitudes and their difference.

    The magnitudes are drawn in dB relative to the reference's peak, over frequencies in Hz.

    Args:
        reference: Magnitude |STFT| (n_freqs, n_frames).
        result: Magnitude of the same shape, for example of the inverted waveform.
        convention: The convention of the STFT and the sample rate.
        title: Title of the figure.

    Returns:
        Figure with three panels.

    Raises:
        InputError: If a shape does not fit, or a value is below 0.
        ConventionError: If there is no such convention.
        DependencyError: If matplotlib is missing; the extra `plot` provides it.

    Shape:
        - reference: (n_freqs, n_frames)
        - result: (n_freqs, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> magnitude = torch.rand(513, 40)
        >>> figure = tmi.plot.compare_spectrograms(magnitude, magnitude, "hifigan_22k")
        >>> figure.axes[0].get_title(loc="left")
        'spectrogram of the reference'
    """
    convention = as_convention(convention)
    spectra = _check_spectra(reference, result, "spectrogram", convention.n_freqs)
    seconds = reference.shape[-1] * convention.hop_length / convention.sample_rate
    spacing = convention.sample_rate / convention.n_fft
    ends = (-0.5 * spacing, (convention.n_freqs - 0.5) * spacing)
    figure, axes = _compare("spectrogram", spectra, 1.0, seconds, ends, title)
    for axis in axes:
        axis.set_ylabel("frequency (Hz)")
    return figure


@named_options
def show_mel(
    mel: Tensor | NDArray[np.floating[Any]],
    convention: MelConvention | str | os.PathLike[str],
    *,
    ax: Axes | None = None,
    title: str = "",
) -> Figure:
    """Draw one mel in dB relative to its peak, over the mel scale.

    Args:
        mel: Mel (n_mels, n_frames) in the convention's values, as a model makes it.
        convention: The convention of the mel.
        ax: Axes of matplotlib to draw into. Default: those of a new figure.
        title: Title of the figure, or of `ax`.

    Returns:
        Figure of the axes.

    Raises:
        InputError: If the shape does not fit, or a value is not finite.
        ConventionError: If there is no such convention.
        DependencyError: If matplotlib is missing; the extra `plot` provides it.

    Shape:
        - mel: (n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(8000))
        >>> figure = tmi.plot.show_mel(mel, "hifigan_22k", title="noise")
        >>> figure.axes[0].get_ylabel()
        'band center (Hz)'
    """
    convention = as_convention(convention)
    values = check_mel_shape(torch.as_tensor(mel).detach().float().cpu(), convention)
    if values.ndim != 2 or not values.isfinite().all():
        raise InputError(
            f"the mel has shape {tuple(values.shape)}; one mel (n_mels, n_frames) of finite values "
            "can be drawn"
        )
    linear = decompress(values, convention.level)
    axes = axes_of(ax, 8.5, 3, title)
    image = axes.imshow(
        decibels(linear, convention.power, float(linear.max())),
        origin="lower",
        aspect="auto",
        extent=(
            0.0,
            values.shape[-1] * convention.hop_length / convention.sample_rate,
            -0.5,
            convention.n_mels - 0.5,
        ),
        interpolation="none",
        cmap="magma",
        vmin=-RANGE_DB,
        vmax=0.0,
    )
    axes.set_yticks(*frequency_ticks(convention))
    axes.set(xlabel="time (s)", ylabel="band center (Hz)")
    figure: Any = axes.get_figure()
    figure.colorbar(image, ax=axes, pad=0.01, extend="min").set_label("dB relative to the peak")
    return figure
