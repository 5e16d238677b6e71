"""Conventions and inspections in words."""

from __future__ import annotations

import json
import math

import pytest
import torch

from tests.tiny import TINY
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.demo import signal
from torchmelinv.inspection import inspect
from torchmelinv.jobs.console import print_json
from torchmelinv.jobs.describe import (
    WIDTH,
    convention_lines,
    hanging,
    inspection_facts,
    inspection_lines,
    level_in_words,
    preset_facts,
    preset_lines,
    table,
)
from torchmelinv.presets import about, preset, preset_names


@pytest.mark.parametrize(("convention", "words"), [
    (preset("hifigan_22k"), "magnitude, ln above 1e-05"),
    (preset("librosa_melspectrogram"), "power, linear"),
    (preset("whisper_80"), "power, log10 above 1e-10, at most 8 below its peak, (x + 4) / 4"),
    (preset("coqui_default"), "magnitude, 20 log10 above 1e-08, minus 20, (x + 50) / 12.5, clipped to -4 … 4"),
    (preset("styletts2_kokoro"), "power, ln of mel + 1e-05, (x + 4) / 4"),
    (preset("diffusers_mel", model_space=True), "minus its peak"),
    (TINY.replace(power=1.5), "magnitude^1.5"),
    (TINY.replace(level=Level(log="ln", floor=1e-5, shift=2, band_mean=[0.5] * 8)), "plus 2, statistics of each band"),
    (TINY.replace(level=Level(affine=(3, 2))), "(x − 3) / 2"),
])
def test_levels_in_words(convention, words):
    assert words in level_in_words(convention)


def test_every_preset_has_a_line():
    lines = preset_lines()
    assert [line.split()[0] for line in lines] == ["name", *preset_names()]
    assert all(about(line.split()[0]).source in line for line in lines[1:])


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_in_full(name, capsys):
    text = " ".join(" ".join(convention_lines(name)).split())
    row = about(name)
    for word in (row.source, row.commit, row.note, row.statistics, f"n_mels {preset(name).n_mels}"):
        assert word in text
    assert max(map(len, convention_lines(name))) <= WIDTH
    print_json(preset_facts(name))
    facts = json.loads(capsys.readouterr().out)
    assert MelConvention.from_dict(facts["convention"]) == preset(name)
    assert facts["note"] == about(name).note


def test_tables_and_paragraphs():
    assert table([("a", "bb"), ("ccc", "1")], right=(1,)) == ["a    bb", "ccc   1"]
    lines = hanging([("a", "x" * 110 + " y" * 20), ("bbb", "")])
    assert lines == ["a    " + "x" * 110 + " y", "     " + " ".join("y" * 19), "bbb"]


@pytest.fixture(scope="module")
def found():
    return inspect(MelAnalyzer("hifigan_22k")(signal(0.5)))


def test_an_inspection_is_a_page(found):
    text = "\n".join(inspection_lines(found))
    for word in ("80 bands, 43 frames", "natural logarithm (ln)", "hifigan_22k, ", "impossible\n", "melgan"):
        assert word in text
    assert "vocos_24k" not in text  # it has 100 bands
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(("mel", "word"), [
    (torch.randn(200, 80), "transposed, models want (bands, frames)"),
    (torch.randn(80, 200), "normalised by statistics that only its maker has"),
    (torch.randn(77, 20), "no preset has 77 bands; they have 23, 64, 80, 100, 128, 256, 512"),
    (torch.randn(80, 20).index_fill(1, torch.tensor([3]), math.nan), "NaN or Inf in 80 places"),
    (torch.full((80, 20), math.log(1e-5)), "floor 1e-05"),
    (torch.full((80, 20), math.log(1e-5)), "fits best\n"),
])
def test_pages_say_what_is_odd(mel, word):
    assert word in "\n".join(inspection_lines(inspect(mel)))


def test_an_inspection_is_json(found, capsys):
    print_json(inspection_facts(found))
    facts = json.loads(capsys.readouterr().out)
    assert facts["log"] == "ln"
    assert "hifigan_22k" in facts["best"]
    assert {fit["verdict"] for fit in facts["fits"]} >= {"possible", "impossible"}
