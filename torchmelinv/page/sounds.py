"""Waveforms as small files that browsers play: FLAC, or Ogg Vorbis where FLAC is too large."""

from __future__ import annotations

import io
from typing import NamedTuple

from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.errors import InputError

_BLOCK = 2**16  # samples: libsndfile's Vorbis encoder overflows its stack with millions at once


class Encoding(NamedTuple):
    """A format of sounds in a page."""

    format: str  # of libsndfile
    subtype: str
    suffix: str
    media_type: str
    text: str  # for people


FLAC = Encoding("FLAC", "PCM_16", ".flac", "audio/flac", "sound: FLAC, 16 bit, lossless")
VORBIS = Encoding("OGG", "VORBIS", ".ogg", "audio/ogg", "sound: Ogg Vorbis, lossy")


def encode(waveform: Tensor, sample_rate: float, encoding: Encoding) -> bytes:
    """Encode a waveform as the bytes of a file.

    Args:
        waveform: Waveform (channels, n_samples), at most 1 in magnitude, of one or two channels.
        sample_rate: Sample rate in Hz.
        encoding: Format of the file.

    Returns:
        The file.

    Raises:
        InputError: If the format cannot hold the sample rate.
    """
    soundfile = require("soundfile")
    stream = io.BytesIO()
    samples = waveform.cpu().numpy().T
    try:
        with soundfile.SoundFile(
            stream,
            "w",
            samplerate=int(sample_rate),
            channels=samples.shape[1],
            format=encoding.format,
            subtype=encoding.subtype,
        ) as file:
            for start in range(0, len(samples), _BLOCK):
                file.write(samples[start : start + _BLOCK])
    except soundfile.SoundFileError as error:
        raise InputError(
            f"{encoding.format} cannot hold sound at {sample_rate:g} Hz: {error}; resample it"
        ) from None
    return stream.getvalue()
