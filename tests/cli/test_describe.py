"""Tables, field lists, and conventions in words."""

from __future__ import annotations

import pytest

from tests.tiny import TINY
from torchmelinv.cli.describe import (
    describe_compression,
    describe_filterbank,
    format_fields,
    format_table,
)
from torchmelinv.conventions import Compression
from torchmelinv.conventions.presets import preset


@pytest.mark.parametrize(
    ("convention", "words"),
    [
        (preset("hifigan_22k"), "magnitude, ln above 1e-05"),
        (preset("librosa_melspectrogram"), "power, linear"),
        (preset("whisper_80"), "power, log10 above 1e-10, at most 8 below its peak, (x + 4) / 4"),
        (
            preset("coqui_default"),
            "magnitude, 20 log10 above 1e-08, minus 20, (x + 50) / 12.5, clipped to -4 … 4",
        ),
        (preset("styletts2_kokoro"), "power, ln of mel + 1e-05, (x + 4) / 4"),
        (preset("diffusers_mel", model_space=True), "minus its peak"),
        (TINY.replace(power=1.5), "magnitude^1.5"),
        (
            TINY.replace(level=Compression(log="ln", floor=1e-5, shift=2, band_mean=[0.5] * 8)),
            "plus 2, statistics of each band",
        ),
        (TINY.replace(level=Compression(affine=(3, 2))), "(x − 3) / 2"),
    ],
)
def test_compressions_in_words(convention, words):
    assert words in describe_compression(convention)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hifigan_22k", "80 of 80 bands are independent"),
        ("whisper_128", "106 of 128 bands are independent"),
        ("torchaudio_melspectrogram", "107 of 128 bands are independent, 4 filters are empty"),
    ],
)
def test_filterbanks_in_words(name, text):
    assert describe_filterbank(preset(name)) == text


def test_tables_and_fields():
    assert format_table([("a", "bb"), ("ccc", "1")], right=(1,)) == ["a    bb", "ccc   1"]
    lines = format_fields([("a", "x" * 110 + " y" * 20), ("bbb", "")])
    assert lines == ["a    " + "x" * 110 + " y", "     " + " ".join("y" * 19), "bbb"]
