"""Audio and mel files in and out, and resampling between them. Nothing here knows what a mel means.

Writing goes aside and is then renamed: at the output path stands either the finished file or what stood there before.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.containers import PICKLED, Choose, most_bytes, read_numpy, read_safetensors, read_torch
from torchmelinv.errors import DependencyError, FileError, InputError, short

# suffix: (libsndfile's name of the format, subtypes that can be written, the first one where none is asked for)
AUDIO_FORMATS = {
    ".wav": ("WAV", ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    ".flac": ("FLAC", ("PCM_16", "PCM_24")),
}
SUBTYPES = AUDIO_FORMATS[".wav"][1]
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64")  # found in folders
_BLOCK = 2**20  # samples that are read at once
_LARGEST_RATIO = 256  # of the sample rates that are resampled between; 192 kHz is 24 times 8 kHz
MEL_SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".safetensors")
# The name that tells the mel from other arrays of the same file
MEL_NAMES = ("mel", "mels", "log_mel", "logmel", "mel_spec", "mel_specgram", "mel_spectrogram", "melspec", "input_features")


class Written(NamedTuple):
    """What `write_audio` found and did."""

    peak: float  # largest |sample| of the waveform as it came
    gain_db: float  # 0, or below it where the waveform was scaled down to fit an integer format


def require(package: str, extra: str | None = None) -> Any:
    """An optional package, imported where it serves; `extra` is the one of ours that provides it."""
    try:
        return importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: soundfile is there and its libsndfile is not
        provider = f"'torchmelinv[{extra}]'" if extra else package
        fix = f"`pip install {provider}` provides it"
        raise DependencyError(f"{package} is needed here and cannot be loaded ({error}); {fix}") from None


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if os.path.isdir(path):
        raise FileError(f"{path} is a folder; one file is needed here")
    if not os.path.exists(path):  # unlike Path.exists, also for names that no file can have
        raise FileError(f"{path} does not exist")
    if not os.path.isfile(path):
        raise FileError(f"{path} is a pipe or a device; save it as a file first")
    return path


@contextlib.contextmanager
def aside(path: str | Path, folder: Path | None = None) -> Iterator[Path]:
    """A temporary path with the suffix of `path` that becomes `path` when the block ends well and is removed otherwise.

    It lies beside `path`, or in `folder` on the same file system. What was written is on the disk before it gets its name, so
    that not even a power failure leaves half a file there.
    """
    path = Path(path)
    temporary = (folder or path.parent) / f".{uuid.uuid4().hex}{path.suffix}"
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


# Audio


def _refuse_truncated_wav(path: Path) -> None:
    """libsndfile reads what is left of a cut wav without a word: compare its data chunk with the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != b"RIFF" or stream.seek(8) != 8 or stream.read(4) != b"WAVE":
            return
        while len(header := stream.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            if name == b"data":
                # Programs that write to a pipe put a placeholder near 2³¹ or 2³² there, or 0.
                if length < 0x7FFF0000 and stream.tell() + length > size:
                    missing = stream.tell() + length - size
                    raise FileError(f"{path} is truncated: its header promises {missing} more bytes of samples than it holds")
                return
            stream.seek(length + length % 2, os.SEEK_CUR)


def _spelled(path: Path) -> str | bytes:
    """A path as libsndfile's wrapper takes it: names that are no UTF-8 as the bytes that they are."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return str(path)


def _samples(stream: Any, path: Path) -> NDArray[np.float32]:
    """All samples (n_samples, channels) of an open file, block by block: its header may promise any number of them."""
    blocks: list[NDArray[np.float32]] = []
    left = most_bytes(path.stat().st_size) // (4 * stream.channels)
    size = max(1, _BLOCK // stream.channels)
    while not blocks or len(blocks[-1]) == size:
        blocks.append(stream.read(size, dtype="float32", always_2d=True))
        left -= len(blocks[-1])
        if left < 0:
            raise FileError(f"{path} becomes too many samples for a file of its size; cut it into pieces, or save it as wav")
    return np.concatenate(blocks)


def read_audio(path: str | Path, sample_rate: float | None = None) -> tuple[Tensor, float]:
    """Waveform (channels, n_samples) in float32 and its sample rate in Hz, resampled to `sample_rate` where one is given.

    Reads what libsndfile reads: wav, flac, ogg, mp3, aiff and more. A file that holds no sample, is cut or is not audio is a
    `FileError`.
    """
    path = _existing(path)
    soundfile = require("soundfile")
    try:
        _refuse_truncated_wav(path)
        with soundfile.SoundFile(_spelled(path)) as stream:
            promised, own_rate = stream.frames, stream.samplerate
            samples = _samples(stream, path)
    except FileError:
        raise
    except (soundfile.SoundFileError, OSError) as error:
        reason = getattr(error, "error_string", str(error)).removeprefix("Error : ").rstrip(".")
        raise FileError(f"{path} cannot be read as audio: {reason}; wav, flac, ogg, mp3 and aiff files can") from None
    if len(samples) < promised:
        raise FileError(f"{path} is truncated: {len(samples)} of its {promised} samples could be read")
    if len(samples) == 0:
        raise FileError(f"{path} is an audio file without a single sample")
    if not np.isfinite(samples).all():
        raise FileError(f"{path} holds NaN or infinite samples; mend it first")
    waveform = torch.from_numpy(np.ascontiguousarray(samples.T))
    return (waveform, own_rate) if sample_rate is None else (resample(waveform, own_rate, sample_rate), sample_rate)


def resample(waveform: Tensor, original: float, wanted: float) -> Tensor:
    """Waveform (channels, n_samples) at `original` Hz -> (channels, about n_samples · wanted / original), by soxr on the CPU.

    `InputError` for rates a factor of more than 256 apart, and where nothing would be left.
    """
    if original == wanted:
        return waveform
    if not 1 / _LARGEST_RATIO <= original / wanted <= _LARGEST_RATIO:
        raise InputError(f"{original:g} Hz to {wanted:g} Hz is more than a factor of {_LARGEST_RATIO}; one is no rate of audio")
    samples = require("soxr").resample(waveform.numpy().T, original, wanted)
    if len(samples) == 0:
        raise InputError(f"{waveform.shape[-1]} samples at {original:g} Hz are not one at {wanted:g} Hz; give more")
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def audio_format(path: str | Path, subtype: str | None = None) -> tuple[str, str]:
    """libsndfile's format and subtype for an output path; a suffix or subtype that cannot be written is an `InputError`.

    `DependencyError` where nothing can be written: a caller asks before it begins to work.
    """
    require("soundfile")
    path = Path(path)
    if path.suffix.lower() not in AUDIO_FORMATS:
        came = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise InputError(f"the audio file {str(path)!r} {came}; {' and '.join(AUDIO_FORMATS)} can be written")
    name, subtypes = AUDIO_FORMATS[path.suffix.lower()]
    if subtype is not None and subtype not in subtypes:
        raise InputError(f"{name} files cannot hold the subtype {subtype!r}; they can hold {', '.join(subtypes)}")
    return name, subtype or subtypes[0]


def write_audio(
    path: str | Path, waveform: Tensor, sample_rate: float, subtype: str | None = None, *, staging: Path | None = None,
) -> Written:
    """Write a waveform (n_samples,) or (channels, n_samples) as wav or flac, 16 bit unless `subtype` says otherwise.

    An integer subtype cannot hold samples beyond ±1: such a waveform is scaled down as a whole until its peak is 1, and
    `Written.gain_db` says by how much. Nothing is ever clipped. NaN, Inf and a rate that is no whole number are an `InputError`.
    `staging`: the folder where the file stands while it is written (see `aside`).
    """
    file_format, subtype = audio_format(path, subtype)
    if sample_rate != int(sample_rate) or sample_rate < 1:
        raise InputError(f"audio files hold whole sample rates in Hz, not {sample_rate:g}; resample the waveform to one first")
    if not waveform.is_floating_point() or waveform.ndim not in (1, 2) or waveform.numel() == 0:
        came = f"{str(waveform.dtype).removeprefix('torch.')} of shape {tuple(waveform.shape)}"
        raise InputError(f"the waveform is {came}; it must be floating point of shape (n_samples,) or (channels, n_samples)")
    samples = waveform.detach().to("cpu", torch.float64 if waveform.dtype == torch.float64 else torch.float32)
    peak = float(samples.abs().max())
    if not math.isfinite(peak):
        raise InputError(f"the waveform for {path} holds NaN or Inf; it is not written")
    scaled = peak > 1 and subtype not in FLOAT_SUBTYPES
    if scaled:
        samples = samples / peak
    soundfile = require("soundfile")
    with aside(path, staging) as temporary:
        temporary.touch()  # where that fails the system says why, and libsndfile would not
        try:
            soundfile.write(_spelled(temporary), samples.numpy().T, int(sample_rate), subtype=subtype, format=file_format)
        except soundfile.SoundFileError as error:
            raise FileError(f"{path} cannot be written as {file_format} {subtype}: {error}") from None
    return Written(peak, -20 * math.log10(peak) if scaled else 0.0)


# Mels


def _one_mel(path: Path) -> Choose:
    """The only array there is, or the only one with the name of a mel."""

    def choose(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        named = [name for name in names if isinstance(name, str) and name.lower() in MEL_NAMES]
        chosen = named if len(names) != 1 else names
        if len(chosen) == 1:
            return chosen[0]
        held = ", ".join(f"{short(name)} {shape(name)}" for name in names[:12]) or "nothing"
        wanted = "exactly one array, or one whose name is among " + ", ".join(MEL_NAMES)
        raise FileError(f"{path} holds {held}{', …' if len(names) > 12 else ''}; it must hold {wanted}")

    return choose


_READERS = {".npy": read_numpy, ".npz": read_numpy, ".pt": read_torch, ".pth": read_torch, ".safetensors": read_safetensors}


def read_mel(path: str | Path) -> Tensor:
    """The mel of an npy, npz, pt, pth or safetensors file on the CPU, in its own shape and dtype.

    A file of several arrays needs exactly one with the name of a mel (`MEL_NAMES`). Pickled objects are never loaded, and no
    more memory is taken than the file's size allows (see `containers.py`).
    """
    path = _existing(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        came = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise FileError(f"{path} {came}; mels are read from {' '.join(MEL_SUFFIXES)} files")
    if suffix == ".safetensors":
        require("safetensors")
    try:
        return _READERS[suffix](path, _one_mel(path))
    except (FileError, MemoryError):
        raise
    except Exception as error:  # damaged files make the libraries raise nearly anything
        reason = (str(error).splitlines() or [""])[0].split(". ")[0][:300] or type(error).__name__
        reason = PICKLED if "Weights only load failed" in str(error) else reason
        raise FileError(f"{path} cannot be read as {suffix}: {reason}") from None


def find_files(folder: str | Path, suffixes: Sequence[str]) -> list[Path]:
    """Every file below a folder with one of these suffixes, sorted; names that start with a dot are left alone.

    Links to files are files, wherever they point. Links to folders are not followed: no loop can catch the search.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def write_mel(path: str | Path, mel: Tensor) -> None:
    """Write a mel as npy; nothing partial is left at `path`."""
    with aside(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, mel.detach().cpu().numpy(), allow_pickle=False)


def find_mels(folder: str | Path) -> list[Path]:
    """`find_files` of mels."""
    return find_files(folder, MEL_SUFFIXES)
