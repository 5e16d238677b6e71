"""Formats of audio files."""

from __future__ import annotations

import pytest

from torchmelinv.errors import InputError
from torchmelinv.io.audio_formats import AUDIO_FORMATS, AUDIO_SUFFIXES, SUBTYPES, audio_format


def test_what_is_written_can_be_found():
    assert set(AUDIO_FORMATS) <= set(AUDIO_SUFFIXES)
    assert all(set(subtypes) <= set(SUBTYPES) for _, subtypes in AUDIO_FORMATS.values())


def test_format_and_subtype_of_a_path():
    assert audio_format("x.WAV") == ("WAV", "PCM_16")
    assert audio_format("x.flac", "PCM_24") == ("FLAC", "PCM_24")


@pytest.mark.parametrize(
    ("path", "subtype", "message"),
    [("x.mp3", None, "ends in '.mp3'"), ("x", None, "no suffix"), ("x.flac", "FLOAT", "PCM_24")],
)
def test_what_cannot_be_written(path, subtype, message):
    with pytest.raises(InputError, match=message):
        audio_format(path, subtype)
