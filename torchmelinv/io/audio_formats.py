"""The formats of audio files that can be written or are searched for. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from torchmelinv._utils.optional import require
from torchmelinv.errors import InputError

__all__ = ["AUDIO_FORMATS", "AUDIO_SUFFIXES", "SUBTYPES", "audio_format"]

# suffix: (libsndfile's name of the format, subtypes that can be written, the default first)
AUDIO_FORMATS = {
    ".wav": ("WAV", ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    ".flac": ("FLAC", ("PCM_16", "PCM_24")),
}
SUBTYPES = AUDIO_FORMATS[".wav"][1]
# Suffixes that a search in a folder counts as audio.
# fmt: off
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64",
)
# fmt: on


def audio_format(path: str | Path, subtype: str | None = None) -> tuple[str, str]:
    """Return libsndfile's format and subtype for an output path.

    Call this before a long computation to find out whether its result can be written.

    Args:
        path: Path of the output file.
        subtype: Subtype, one of `AUDIO_FORMATS`. Default: 16 bit.

    Returns:
        Name of the format and name of the subtype.

    Raises:
        InputError: If the suffix or the subtype cannot be written.
        DependencyError: If soundfile cannot be loaded.
    """
    require("soundfile")
    path = Path(path)
    if path.suffix.lower() not in AUDIO_FORMATS:
        came = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise InputError(
            f"the audio file {str(path)!r} {came}; it must end in {' or '.join(AUDIO_FORMATS)}"
        )
    name, subtypes = AUDIO_FORMATS[path.suffix.lower()]
    if subtype is not None and subtype not in subtypes:
        raise InputError(
            f"{name} files cannot hold the subtype {subtype!r}; they can hold {', '.join(subtypes)}"
        )
    return name, subtype or subtypes[0]
