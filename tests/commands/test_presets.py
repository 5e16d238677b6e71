"""`torchmelinv presets` through `main`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import console, workplace  # noqa: F401
from torchmelinv.conventions import MelConvention
from torchmelinv.presets import preset, preset_names

pytestmark = pytest.mark.usefixtures("workplace")


def test_presets_are_listed(run):
    _, out, _ = run("presets")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(preset_names())
    _, out, _ = run("presets", "--json")
    assert [facts["name"] for facts in json.loads(out)] == list(preset_names())


def test_a_preset_as_json_is_a_convention_file(run):
    code, out, err = run("presets", "whisper_80", "--json")
    assert code == 0
    assert MelConvention.from_json(out) == preset("whisper_80")
    assert err.startswith("torchmelinv: note: openai/whisper at ")
    Path("mine.json").write_text(out)
    np.save("w.npy", torch.rand(80, 4).numpy())
    assert run("invert", "w.npy", "-o", "x.wav", "--convention", "mine.json", "--n-iter", "1")[0] == 0


def test_a_preset_in_full(run):
    _, out, _ = run("presets", "pwg_ljspeech")
    assert "band_mean and band_scale" in out
    assert "kan-bayashi/ParallelWaveGAN" in out
