"""Reading and writing of audio files through libsndfile."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.errors import FileError, InputError
from torchmelinv.io.audio_formats import audio_format
from torchmelinv.io.audio_headers import check_audio_header
from torchmelinv.io.memory import check_memory, memory_errors
from torchmelinv.io.paths import atomic_write, existing_file
from torchmelinv.io.resample import resample
from torchmelinv.io.safe_load import most_bytes

__all__ = ["WriteResult", "read_audio", "write_audio"]

_MAX_CHANNELS = {"WAV": 1024, "FLAC": 8}  # of libsndfile
_FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
_BLOCK = 2**20  # samples that are read at once


class WriteResult(NamedTuple):
    """What `write_audio` did.

    Args:
        peak: Largest |sample| of the waveform before any scaling.
        gain_db: Gain in dB that was applied: 0, or negative if the waveform was scaled down to fit
            an integer format.
    """

    peak: float
    gain_db: float


def _soundfile_path(path: Path) -> str | bytes:
    """Return a path for soundfile, which takes names that are not UTF-8 as bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return str(path)


def _read_samples(stream: Any, path: Path) -> NDArray[np.float32]:
    """Return all samples (n_samples, channels) of an open file.

    They are read block by block, because the header may promise any number of them.
    """
    blocks: list[NDArray[np.float32]] = []
    n_bytes = 0
    budget = most_bytes(path.stat().st_size) // (4 * stream.channels)
    size = max(1, _BLOCK // stream.channels)
    while not blocks or len(blocks[-1]) == size:
        blocks.append(stream.read(size, dtype="float32", always_2d=True))
        budget -= len(blocks[-1])
        n_bytes += blocks[-1].nbytes
        check_memory(path, n_bytes)  # `concatenate` takes as much again
        if budget < 0:
            raise FileError(
                f"{path} decodes to too many samples for a file of its size; "
                "split it, or save it as wav"
            )
    return np.concatenate(blocks)


def read_audio(path: str | Path, sample_rate: float | None = None) -> tuple[Tensor, float]:
    """Read an audio file: wav, flac, ogg, mp3, aiff, au, caf or NIST Sphere.

    Args:
        path: Path of the file.
        sample_rate: Sample rate in Hz to resample to. Default: the file's own.

    Returns:
        Waveform (channels, n_samples) in float32, and its sample rate in Hz.

    Raises:
        FileError: If the file is not audio, is truncated, does not fit into the memory, holds no
            sample, or holds NaN or Inf.
        InputError: If the file cannot be resampled to `sample_rate`.
        DependencyError: If soundfile or soxr cannot be loaded.
    """
    path = existing_file(path)
    with memory_errors(path):
        waveform, file_rate = _read(path)
        if sample_rate is None:
            return waveform, file_rate
        return resample(waveform, file_rate, sample_rate), sample_rate


def _read(path: Path) -> tuple[Tensor, float]:
    """Read an existing file at its own rate."""
    soundfile = require("soundfile")
    try:
        check_audio_header(path)
        with soundfile.SoundFile(_soundfile_path(path)) as stream:
            n_samples, file_rate = stream.frames, stream.samplerate
            samples = _read_samples(stream, path)
    except FileError:
        raise
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # TypeError: the suffix is .raw
        reason = getattr(error, "error_string", str(error)).removeprefix("Error : ").rstrip(".")
        raise FileError(
            f"{path} cannot be read as audio: {reason}; "
            "it must be a wav, flac, ogg, mp3 or aiff file"
        ) from None
    if len(samples) < n_samples:
        raise FileError(
            f"{path} is truncated: {len(samples)} of its {n_samples} samples could be read"
        )
    if len(samples) == 0:
        raise FileError(f"{path} is an audio file without a single sample")
    if not np.isfinite(samples).all():
        raise FileError(f"{path} holds NaN or infinite samples; fix it first")
    return torch.from_numpy(np.ascontiguousarray(samples.T)), file_rate


def write_audio(
    path: str | Path,
    waveform: Tensor | NDArray[np.floating[Any]],
    sample_rate: float,
    subtype: str | None = None,
    *,
    staging: Path | None = None,
) -> WriteResult:
    """Write a waveform as wav or flac. Nothing is ever clipped.

    An integer subtype cannot hold samples beyond ±1. Such a waveform is scaled down as a whole
    until its peak is 1.

    Args:
        path: Path of the file. No partial file is left there, see `atomic_write`.
        waveform: Waveform (n_samples,) or (channels, n_samples), a tensor or an array.
        sample_rate: Sample rate in Hz, an integer.
        subtype: libsndfile's name of the sample format. Default: 16 bit.
        staging: Folder of the temporary file. Default: that of `path`.

    Returns:
        The waveform's peak and the applied gain.

    Raises:
        InputError: If the waveform is not real and finite, or the suffix, subtype, rate or number
            of channels cannot be written.
        FileError: If the file cannot be written, or does not fit into the memory.
        DiskError: If the disk is full or read-only.
        DependencyError: If soundfile cannot be loaded.

    Shape:
        - waveform: (n_samples,) or (channels, n_samples)
    """
    file_format, subtype = audio_format(path, subtype)
    if sample_rate != int(sample_rate) or sample_rate < 1:
        raise InputError(
            f"audio files hold whole sample rates in Hz, not {sample_rate:g}; "
            "resample the waveform to one first"
        )
    if isinstance(waveform, np.ndarray):
        if waveform.dtype.kind not in "fiub":
            raise InputError(f"the waveform is an array of {waveform.dtype}; it must be real")
        waveform = torch.from_numpy(waveform.astype(waveform.dtype.newbyteorder("=")))
    if not waveform.is_floating_point() or waveform.ndim not in (1, 2) or waveform.numel() == 0:
        came = f"{str(waveform.dtype).removeprefix('torch.')} of shape {tuple(waveform.shape)}"
        raise InputError(
            f"the waveform is {came}; it must be floating point of shape (n_samples,) or "
            "(channels, n_samples)"
        )
    if waveform.ndim == 2 and len(waveform) > _MAX_CHANNELS[file_format]:
        raise InputError(
            f"the waveform has {len(waveform)} channels; {file_format} files hold at most "
            f"{_MAX_CHANNELS[file_format]}; write its channels to several files"
        )
    dtype = torch.float64 if waveform.dtype == torch.float64 else torch.float32
    samples = waveform.detach().to("cpu", dtype)
    peak = float(samples.abs().max())
    if not math.isfinite(peak):
        raise InputError(f"the waveform for {path} holds NaN or Inf; it is not written")
    scaled = peak > 1 and subtype not in _FLOAT_SUBTYPES
    if scaled:
        samples = samples / peak
    # Encoded in memory: soundfile waits for the disk at the end of a file, as `atomic_write` does.
    check_memory(path, samples.nbytes)  # an encoded file has at most as many
    encoded = io.BytesIO()
    soundfile = require("soundfile")
    try:
        soundfile.write(
            encoded, samples.numpy().T, int(sample_rate), subtype=subtype, format=file_format
        )
    except soundfile.SoundFileError as error:
        raise FileError(f"{path} cannot be written as {file_format} {subtype}: {error}") from None
    with atomic_write(path, staging) as temporary:
        temporary.write_bytes(encoded.getbuffer())
    return WriteResult(peak, -20 * math.log10(peak) if scaled else 0.0)
