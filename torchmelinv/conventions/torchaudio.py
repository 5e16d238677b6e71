"""Conventions from torchaudio's transforms, whose attributes are read. It is not imported."""

from __future__ import annotations

from typing import Any

from torchmelinv.conventions._arguments import choose, named_window, padding_of
from torchmelinv.conventions.compression import Compression
from torchmelinv.conventions.mel_convention import MelConvention
from torchmelinv.conventions.mfcc_convention import MfccConvention
from torchmelinv.errors import ConventionError

__all__ = ["from_torchaudio", "from_torchaudio_mfcc"]

_NORMALIZED = {False: False, True: True, "window": True}


def from_torchaudio(transform: Any, *, level: Compression | None = None) -> MelConvention:
    """Return the convention of a `torchaudio.transforms.MelSpectrogram`.

    torchaudio spreads its bins from 0 to ``sample_rate // 2``. For an odd `sample_rate` or `n_fft`
    these are not the bins' frequencies. `filterbank_sample_rate` then becomes the rate at which
    they would be, so that the filters are torchaudio's.

    Args:
        transform: The transform, or an `MFCC` that has one.
        level: Compression after the transform (an `AmplitudeToDB`, for example). Default: none, a
            linear mel.

    Returns:
        The convention.

    Raises:
        ConventionError: If `transform` is of another class, or no convention can express one of its
            attributes, which the message names.

    Example:
        >>> import torchaudio, torchmelinv as tmi
        >>> transform = torchaudio.transforms.MelSpectrogram(22050, n_fft=1024, n_mels=80)
        >>> tmi.from_torchaudio(transform).hop_length
        512
    """
    mel = getattr(transform, "MelSpectrogram", transform)
    try:
        stft, filters = mel.spectrogram, mel.mel_scale
        n_fft, win_length, sample_rate = int(stft.n_fft), stft.win_length, mel.sample_rate
        pad, center, pad_mode, normalized = stft.pad, stft.center, stft.pad_mode, stft.normalized
        window = stft.window.detach().cpu().numpy()
        fields = {
            "hop_length": stft.hop_length,
            "power": stft.power,
            "n_mels": filters.n_mels,
            "f_min": filters.f_min,
            "f_max": filters.f_max,
            "mel_scale": filters.mel_scale,
            "filter_norm": filters.norm,
        }
    except AttributeError:
        raise ConventionError(
            "from_torchaudio takes a torchaudio.transforms.MelSpectrogram or MFCC, not "
            f"{type(transform).__name__}; pass that transform alone, and what follows it "
            "(a logarithm, dB) as level="
        ) from None
    if pad != 0:
        raise ConventionError(
            f"MelSpectrogram.pad is {pad!r}, which no convention can express; "
            "leave it at 0 and pad the waveform"
        )
    return MelConvention(
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=win_length,
        window=named_window("MelSpectrogram.window_fn", window, win_length),
        padding=padding_of("MelSpectrogram.pad_mode", center, pad_mode),
        window_normalized=choose("MelSpectrogram.normalized", normalized, _NORMALIZED),
        filterbank_sample_rate=n_fft * (sample_rate // 2) / max(n_fft // 2, 1),
        level=Compression() if level is None else level,
        **fields,
    )


def from_torchaudio_mfcc(transform: Any) -> MfccConvention:
    """Return the convention of a `torchaudio.transforms.MFCC`.

    Its mel is in dB or, with `log_mels`, ln(mel + 1e-6). torchaudio takes the peak for `top_db`
    over all channels of an item, and over all items of a waveform (n_items, n_samples). The
    convention takes it over each waveform by itself.

    Args:
        transform: The transform.

    Returns:
        The convention.

    Raises:
        ConventionError: If `transform` is of another class, or no convention can express one of its
            attributes, which the message names.

    Example:
        >>> import torchaudio, torchmelinv as tmi
        >>> transform = torchaudio.transforms.MFCC(n_mfcc=13, melkwargs={"n_mels": 40})
        >>> tmi.from_torchaudio_mfcc(transform).n_mfcc
        13
    """
    try:
        n_mfcc, norm, log_mels = transform.n_mfcc, transform.norm, transform.log_mels
        decibel = transform.amplitude_to_DB
        level = Compression(
            log="log10",
            floor=decibel.amin,
            multiplier=decibel.multiplier,
            shift=0 - decibel.multiplier * decibel.db_multiplier,
            dynamic_range=decibel.top_db,
        )
    except AttributeError:
        raise ConventionError(
            "from_torchaudio_mfcc takes a torchaudio.transforms.MFCC, not "
            f"{type(transform).__name__}"
        ) from None
    if log_mels:
        level = Compression(log="ln", offset=1e-6)
    return MfccConvention(mel=from_torchaudio(transform, level=level), n_mfcc=n_mfcc, norm=norm)
