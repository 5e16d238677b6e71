"""Headers of audio files: formats that are decoded, and wav files that are truncated.

libsndfile also knows formats of samplers, phones and numerical programs. Hardly anybody uses them,
their decoders are old, and that of MIDI sample dumps prints damage to the standard output.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

from torchmelinv.errors import FileError
from torchmelinv.io.plain_files import open_plain

__all__ = ["check_audio_header"]

# The first 12 bytes of wav, RF64, W64, AIFF, AU, CAF, FLAC, ogg, NIST Sphere and MPEG audio.
_HEADERS = re.compile(
    rb"(RIFF|RIFX|RF64)....WAVE|riff|FORM....AIF[FC]|\.snd|dns\.|caff|fLaC|OggS|NIST|\xff[\xe0-\xff]",
    re.DOTALL,
)
_LENGTH = 12


def check_audio_header(path: Path) -> None:
    """Refuse files of other formats, and wav files that are truncated.

    Args:
        path: A plain file.

    Raises:
        FileError: If the header is of another format, or that of a wav file promises more than the
            file holds.
        OSError: If the file cannot be read.
    """
    with open_plain(path) as stream:
        head = _skip_tags(stream)
        if not _HEADERS.match(head):
            raise FileError(
                f"{path} cannot be read as audio: its header is of another format; it must be a "
                "wav, flac, ogg, mp3 or aiff file"
            )
        if head.startswith(b"RIFF"):
            _check_wav_size(path, stream)


def _skip_tags(stream: BinaryIO) -> bytes:
    """Go behind ID3 tags, as libsndfile does; return the header."""
    while (head := stream.read(_LENGTH)).startswith(b"ID3") and len(head) == _LENGTH:
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        stream.seek(10 + size - _LENGTH, os.SEEK_CUR)
    return head


def _check_wav_size(path: Path, stream: BinaryIO) -> None:
    """Compare a wav file's data chunk with its size: libsndfile reads a truncated file silently."""
    size = os.fstat(stream.fileno()).st_size
    while len(header := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        if name != b"data":
            stream.seek(length + length % 2, os.SEEK_CUR)
            continue
        missing = stream.tell() + length - size
        # Programs that write to a pipe put a placeholder near 2³¹ or 2³² there, or 0.
        if length < 0x7FFF0000 and missing > 0:
            raise FileError(
                f"{path} is truncated: its header promises {missing} more bytes of samples than it "
                "holds"
            )
        return
