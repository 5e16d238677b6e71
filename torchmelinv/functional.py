"""The conversions between waveforms, magnitudes, mel spectrograms and MFCCs as functions.

A convention is a `MelConvention`, a preset's name or the path of a JSON file. "Mel" means a mel
spectrogram in the convention's values, "magnitude" means |STFT|. All functions are batched and
differentiable. They raise `InputError` or `ConventionError`, both ValueErrors.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from torchmelinv._utils.method_names import InitName, RestorationName
from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import Length
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention, MfccConvention, STFTConvention
from torchmelinv.conventions.presets import as_mfcc_convention, as_stft_convention
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MagnitudeName, as_magnitude_inverse
from torchmelinv.phase import PhaseName, as_phase_method
from torchmelinv.phase import initial_phase as _initial_phase
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.reconstruct import reconstruct
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.solvers.iterate import Gradient
from torchmelinv.transforms import mfcc as _mfcc
from torchmelinv.transforms.stft import STFT

__all__ = [
    "initial_phase",
    "magnitude_to_waveform",
    "mel_to_magnitude",
    "mel_to_mfcc",
    "mel_to_waveform",
    "mfcc_to_mel",
    "mfcc_to_waveform",
    "waveform_to_mel",
]

MelConventionLike = MelConvention | str | os.PathLike[str]
STFTConventionLike = STFTConvention | str | os.PathLike[str]
MfccConventionLike = MfccConvention | str | os.PathLike[str]


@named_options
def waveform_to_mel(
    waveform: Tensor, convention: MelConventionLike, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the mel spectrogram of a waveform, as `MelSpectrogram` does.

    Args:
        waveform: Waveform (…, n_samples).
        convention: The convention of the mel.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mel (…, n_mels, n_frames).

    Raises:
        InputError: If the waveform is not real floating point, or too short for a frame.
        ConventionError: If there is no such convention.

    Shape:
        - waveform: (…, n_samples)
        - output: (…, n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> tmi.functional.waveform_to_mel(torch.randn(2, 22050), "hifigan_22k").shape
        torch.Size([2, 80, 86])
    """
    return MelSpectrogram(convention)(waveform, lengths=lengths)


@named_options
def mel_to_magnitude(
    mel: Tensor,
    convention: MelConventionLike,
    method: MagnitudeName = "entropic",
    *,
    lengths: Tensor | None = None,
    check: bool = True,
) -> Tensor:
    """Find a magnitude that has the mel.

    Args:
        mel: Mel (…, n_mels, n_frames).
        convention: The convention of the mel.
        method: Inverse of the filterbank: ``"entropic"``, ``"least_distance"``, ``"nnls"``,
            ``"pinv"`` or ``"transpose"``.
        lengths: Frames of each item of a padded batch, (…).
        check: Check the values of the mel.

    Returns:
        Magnitude (…, n_freqs, n_frames).

    Raises:
        InputError: If a shape, dtype, value or name does not fit.
        ConventionError: If there is no such convention.

    Shape:
        - mel: (…, n_mels, n_frames)
        - output: (…, n_freqs, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.functional.waveform_to_mel(0.1 * torch.randn(22050), "whisper_80")
        >>> tmi.functional.mel_to_magnitude(mel, "whisper_80").shape
        torch.Size([201, 137])
    """
    as_magnitude_inverse(method, "method")
    inverter = MelInverter(convention, method, restore="none", check=check)
    return inverter.to_magnitude(mel, lengths=lengths)


@named_options
def magnitude_to_waveform(
    magnitude: Tensor,
    convention: STFTConventionLike,
    method: PhaseName | PhaseMethod = "accelerated_griffin_lim",
    n_iter: int = 32,
    *,
    init: InitName | Tensor = "pghi",
    seed: int = 0,
    momentum: float | None = None,
    lengths: Tensor | None = None,
    length: Length | None = None,
    init_waveform: Tensor | None = None,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    channels: bool = False,
) -> Tensor:
    """Find the waveform of a magnitude.

    Args:
        magnitude: Magnitude |STFT| (…, n_freqs, n_frames), not its power.
        convention: The convention of the STFT: an `STFTConvention`, or a mel convention that has
            one.
        method: Phase method, by name as in `MelInverter` or as an object of `torchmelinv.phases`.
            Mel-consistent methods need a mel: use `mel_to_waveform`.
        n_iter: Number of iterations, at least 0.
        init: Initial phase: ``"pghi"``, ``"spsi"``, ``"random"`` or ``"zero"``, or angles in
            radians that broadcast to the magnitude. Unlike in `MelInverter`, ``"pghi"`` trusts the
            magnitude everywhere.
        seed: Seed of the random initial phase.
        momentum: Momentum of a method that is given by name, from 0 to 1. Default: its own.
        lengths: Frames of each item of a padded batch, (…).
        length: Number of output samples, or the samples of each item, (…). Default:
            ``convention.n_samples(n_frames)``.
        init_waveform: Waveform (…, n_samples) whose phase initializes the iteration.
        tolerance: Relative change of an iteration at which an item stops.
        gradient: How gradients pass through the iterations, as in `MelInverter`.
        channels: The dimension before the last two has the channels of one recording, which share
            the initial phase.

    Returns:
        Waveform (…, length).

    Raises:
        InputError: If a shape, dtype or option does not fit.
        ConventionError: If there is no such convention.

    Shape:
        - magnitude: (…, n_freqs, n_frames)
        - output: (…, length)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> magnitude = tmi.STFT("hifigan_22k")(0.1 * torch.randn(22050)).abs()
        >>> tmi.functional.magnitude_to_waveform(magnitude, "hifigan_22k", "griffin_lim", 4).shape
        torch.Size([22016])
    """
    return reconstruct(
        as_phase_method(method, momentum, "method"),
        magnitude,
        STFT(convention),
        n_iter,
        init=init,
        seed=seed,
        lengths=lengths,
        length=length,
        init_waveform=init_waveform,
        tolerance=tolerance,
        gradient=gradient,
        channels=channels,
    ).waveform


@named_options
def mel_to_waveform(
    mel: Tensor,
    convention: MelConventionLike,
    magnitude: MagnitudeName = "entropic",
    phase: PhaseName | PhaseMethod = "coarse_to_fine",
    n_iter: int = 32,
    *,
    init: InitName = "pghi",
    seed: int = 0,
    momentum: float | None = None,
    lengths: Tensor | None = None,
    length: Length | None = None,
    init_waveform: Tensor | None = None,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    channels: bool = False,
    restore: RestorationName | Restoration = "auto",
    check: bool = True,
) -> Tensor:
    """Invert mel spectrograms to waveforms, as `MelInverter` does.

    Args:
        mel: Mel (…, n_mels, n_frames).
        convention: The convention of the mel.
        magnitude: Inverse of the filterbank, by name as in `MelInverter`.
        phase: Phase method, by name as in `MelInverter` or as an object of `torchmelinv.phases`.
        n_iter: Number of iterations, at least 0.
        init: Initial phase: ``"pghi"``, ``"spsi"``, ``"random"`` or ``"zero"``.
        seed: Seed of the random initial phase.
        momentum: Momentum of a phase method that is given by name, from 0 to 1. Default: its own.
        lengths: Frames of each item of a padded batch, (…).
        length: Number of output samples, or the samples of each item, (…). Default:
            ``convention.n_samples(n_frames)``.
        init_waveform: Waveform (…, n_samples) whose phase initializes the iteration.
        tolerance: Relative change of an iteration at which an item stops.
        gradient: How gradients pass through the iterations, as in `MelInverter`.
        channels: The dimension before the last two has the channels of one recording, which share
            the initial phase.
        restore: Restoration of smoothed mels, as in `MelInverter`.
        check: Check the values of the mel.

    Returns:
        Waveform (…, length).

    Raises:
        InputError: If a shape, dtype, value or option does not fit.
        ConventionError: If there is no such convention.

    Shape:
        - mel: (…, n_mels, n_frames), or (…, channels, n_mels, n_frames)
        - output: (…, length)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.functional.waveform_to_mel(0.1 * torch.randn(22050), "hifigan_22k")
        >>> tmi.functional.mel_to_waveform(mel, "hifigan_22k", n_iter=4, length=22050).shape
        torch.Size([22050])
    """
    inverter = MelInverter(
        convention,
        magnitude,
        phase,
        n_iter,
        init=init,
        seed=seed,
        momentum=momentum,
        tolerance=tolerance,
        gradient=gradient,
        channels=channels,
        restore=restore,
        check=check,
    )
    return inverter(mel, lengths=lengths, length=length, init_waveform=init_waveform)


@named_options
def mel_to_mfcc(mel: Tensor, convention: MfccConventionLike) -> Tensor:
    """Compute the MFCCs of a mel spectrogram.

    Equal to `librosa.feature.mfcc` and `torchaudio.transforms.MFCC` with the conventions of
    `from_librosa_mfcc` and `from_torchaudio_mfcc`.

    Args:
        mel: Mel (…, n_mels, n_frames) in dB or logarithms, the values of ``convention.mel``.
        convention: An `MfccConvention`, or the path of its JSON file.

    Returns:
        MFCCs (…, n_mfcc, n_frames).

    Raises:
        InputError: If the mel has another shape or dtype.
        ConventionError: If `convention` is not an MFCC convention.

    Shape:
        - mel: (…, n_mels, n_frames)
        - output: (…, n_mfcc, n_frames)

    References:
        S. Davis and P. Mermelstein, "Comparison of parametric representations for monosyllabic word
        recognition in continuously spoken sentences", IEEE Trans. ASSP 28(4), 1980.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> convention = tmi.from_librosa_mfcc(n_mfcc=13)
        >>> mel = tmi.functional.waveform_to_mel(0.1 * torch.randn(22050), convention.mel)
        >>> tmi.functional.mel_to_mfcc(mel, convention).shape
        torch.Size([13, 44])
    """
    return _mfcc.mel_to_mfcc(mel, as_mfcc_convention(convention))


@named_options
def mfcc_to_mel(mfcc: Tensor, convention: MfccConventionLike) -> Tensor:
    """Find the smooth mel spectrogram that has the MFCCs.

    With all n_mels coefficients this is the inverse of `mel_to_mfcc`. With fewer, the missing ones
    count as 0: peaks come out lower and valleys higher. A coefficient whose lifter weight is 0 is
    lost and counts as 0, where librosa divides by 0.

    Args:
        mfcc: MFCCs (…, n_mfcc, n_frames).
        convention: An `MfccConvention`, or the path of its JSON file.

    Returns:
        Mel (…, n_mels, n_frames) in the values of ``convention.mel``.

    Raises:
        InputError: If the MFCCs have another shape or dtype.
        ConventionError: If `convention` is not an MFCC convention.

    Shape:
        - mfcc: (…, n_mfcc, n_frames)
        - output: (…, n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> convention = tmi.from_librosa_mfcc(n_mfcc=13)
        >>> tmi.functional.mfcc_to_mel(torch.zeros(13, 44), convention).shape
        torch.Size([128, 44])
    """
    return _mfcc.mfcc_to_mel(mfcc, as_mfcc_convention(convention))


@named_options
def mfcc_to_waveform(
    mfcc: Tensor,
    convention: MfccConventionLike,
    magnitude: MagnitudeName = "entropic",
    phase: PhaseName | PhaseMethod = "coarse_to_fine",
    n_iter: int = 32,
    *,
    init: InitName = "pghi",
    seed: int = 0,
    momentum: float | None = None,
    lengths: Tensor | None = None,
    length: Length | None = None,
    init_waveform: Tensor | None = None,
    tolerance: float | None = None,
    gradient: Gradient = "unrolled",
    channels: bool = False,
    check: bool = True,
) -> Tensor:
    """Invert MFCCs to waveforms: `mfcc_to_mel`, then `mel_to_waveform` without restoration.

    Args:
        mfcc: MFCCs (…, n_mfcc, n_frames).
        convention: An `MfccConvention`, or the path of its JSON file.
        magnitude: Inverse of the filterbank, by name as in `MelInverter`.
        phase: Phase method, by name as in `MelInverter` or as an object of `torchmelinv.phases`.
        n_iter: Number of iterations, at least 0.
        init: Initial phase: ``"pghi"``, ``"spsi"``, ``"random"`` or ``"zero"``.
        seed: Seed of the random initial phase.
        momentum: Momentum of a phase method that is given by name, from 0 to 1. Default: its own.
        lengths: Frames of each item of a padded batch, (…).
        length: Number of output samples, or the samples of each item, (…). Default:
            ``convention.mel.n_samples(n_frames)``.
        init_waveform: Waveform (…, n_samples) whose phase initializes the iteration.
        tolerance: Relative change of an iteration at which an item stops.
        gradient: How gradients pass through the iterations, as in `MelInverter`.
        channels: The dimension before the last two has the channels of one recording, which share
            the initial phase.
        check: Check the values of the mel.

    Returns:
        Waveform (…, length).

    Raises:
        InputError: If a shape, dtype, value or option does not fit.
        ConventionError: If `convention` is not an MFCC convention.

    Shape:
        - mfcc: (…, n_mfcc, n_frames)
        - output: (…, length)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> convention = tmi.from_librosa_mfcc(n_mfcc=13)
        >>> mel = tmi.functional.waveform_to_mel(0.1 * torch.randn(22050), convention.mel)
        >>> mfcc = tmi.functional.mel_to_mfcc(mel, convention)
        >>> tmi.functional.mfcc_to_waveform(mfcc, convention, n_iter=4).shape
        torch.Size([22016])
    """
    mfcc_convention = as_mfcc_convention(convention)
    return mel_to_waveform(
        _mfcc.mfcc_to_mel(mfcc, mfcc_convention),
        mfcc_convention.mel,
        magnitude,
        phase,
        n_iter,
        init=init,
        seed=seed,
        momentum=momentum,
        lengths=lengths,
        length=length,
        init_waveform=init_waveform,
        tolerance=tolerance,
        gradient=gradient,
        channels=channels,
        restore="none",
        check=check,
    )


@named_options
@torch.no_grad()
def initial_phase(
    magnitude: Tensor,
    convention: STFTConventionLike,
    init: InitName | None = None,
    *,
    seed: int = 0,
    previous: Tensor | None = None,
) -> Tensor:
    """Estimate the phase of a magnitude without iterating.

    Args:
        magnitude: Magnitude |STFT| (…, n_freqs, n_frames).
        convention: The convention of the STFT: an `STFTConvention`, or a mel convention that has
            one.
        init: Initial phase: ``"pghi"`` (the default), ``"spsi"`` (the default with `previous`),
            ``"random"`` or ``"zero"``.
        seed: Seed of the random initial phase.
        previous: Angles (…, n_freqs) of the frame before the first one. The phase continues from
            there, for a chunk that follows another; only ``"spsi"`` can.

    Returns:
        Angles in radians (…, n_freqs, n_frames), which `magnitude_to_waveform` takes as `init`. No
        gradient passes.

    Raises:
        InputError: If a shape, dtype or name does not fit.
        ConventionError: If there is no such convention.

    Shape:
        - magnitude: (…, n_freqs, n_frames)
        - previous: (…, n_freqs)
        - output: (…, n_freqs, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> magnitude = tmi.STFT("hifigan_22k")(0.1 * torch.randn(22050)).abs()
        >>> tmi.functional.initial_phase(magnitude, "hifigan_22k").shape
        torch.Size([513, 86])
    """
    return _initial_phase.initial_phase(
        magnitude, as_stft_convention(convention), init, seed, previous
    )
