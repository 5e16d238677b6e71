"""`torchmelinv presets`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import console, workplace  # noqa: F401
from torchmelinv.cli.describe import WIDTH
from torchmelinv.cli.presets import format_preset, format_presets
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import preset, preset_info, preset_names

pytestmark = pytest.mark.usefixtures("workplace")


def test_presets_are_listed(run):
    _, out, _ = run("presets")
    heading, *lines = out.splitlines()
    assert heading.split()[0] == "name"
    assert [line.split()[0] for line in lines] == list(preset_names())
    assert all(preset_info(line.split()[0]).source in line for line in lines)


def test_presets_as_json(run):
    _, out, _ = run("presets", "--json")
    presets = {report["name"]: report for report in json.loads(out)}
    assert list(presets) == list(preset_names())
    for name, report in presets.items():
        assert MelConvention.from_dict(report["convention"]) == preset(name)
        assert report["note"] == preset_info(name).note


def test_a_preset_as_json_is_a_convention_file(run):
    code, out, err = run("presets", "whisper_80", "--json")
    assert code == 0
    assert MelConvention.from_json(out) == preset("whisper_80")
    assert err.startswith("torchmelinv: note: openai/whisper at ")
    Path("mine.json").write_text(out)
    np.save("w.npy", torch.rand(80, 4).numpy())
    arguments = ("w.npy", "-o", "x.wav", "--convention", "mine.json", "--n-iter", "1")
    assert run("invert", *arguments)[0] == 0


def test_a_convention_file_is_described(run):
    code, out, _ = run("presets", "tiny.json")
    assert code == 0
    assert "hop_length" in out
    assert "8 of 8 bands are independent" in " ".join(out.split())
    assert json.loads(run("presets", "tiny.json", "--json")[1])["n_mels"] == 8
    code, _, err = run("presets", "absent.json")
    assert code == 2
    assert "absent.json" in err


@pytest.mark.parametrize("width", [70, 80, 400])
def test_the_list_fits_the_terminal(width):
    lines = format_presets(width)
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1:]] == list(preset_names())
    full = format_presets(None)
    assert (lines == full) == (width == 400)


@pytest.mark.parametrize("name", preset_names())
def test_all_fields_of_a_preset(name):
    lines, row = format_preset(name), preset_info(name)
    text = " ".join(" ".join(lines).split())
    assert "bands are independent" in text
    for word in (row.source, row.commit, row.note, row.statistics, f"n_mels {preset(name).n_mels}"):
        assert word in text
    assert max(map(len, lines)) <= WIDTH


def test_statistics_that_a_preset_needs(run):
    _, out, _ = run("presets", "pwg_ljspeech")
    assert "band_mean and band_scale" in out
    assert "kan-bayashi/ParallelWaveGAN" in out
