"""`torchmelinv identify`."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from tests.tiny import console, workplace  # noqa: F401
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli.console import print_json
from torchmelinv.cli.describe import WIDTH
from torchmelinv.cli.identify import format_identification, identification_report
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.demo import signal
from torchmelinv.identification.identify import identify

pytestmark = pytest.mark.usefixtures("workplace")


def test_identify_describes_a_mel(run):
    mel = torch.full((3, 20, 80), -11.512925).index_fill(1, torch.tensor([4]), 0.5)
    np.save("h.npy", mel.numpy())
    code, out, _ = run("identify", "h.npy")
    assert code == 0
    for word in (
        "(3, 20, 80) float32",
        "transposed",
        "natural logarithm (ln), floor 1e-05",
        "fits best",
        "hifigan_22k",
    ):
        assert word in out
    _, out, _ = run("identify", "h.npy", "--json")
    report = json.loads(out)
    assert (report["input"], report["log"], report["transposed"]) == ("h.npy", "ln", True)
    assert report["floor"] == pytest.approx(1e-5)
    assert "hifigan_22k" in report["best"]


@pytest.fixture(scope="module")
def identification():
    return identify(MelSpectrogram("hifigan_22k")(signal(0.5)))


def test_a_mel_of_a_preset(identification):
    text = "\n".join(format_identification(identification))
    for word in (
        "80 bands, 43 frames",
        "natural logarithm (ln)",
        "hifigan_22k, ",
        "impossible\n",
        "melgan",
    ):
        assert word in text
    assert "vocos_24k" not in text  # it has 100 bands
    assert max(map(len, text.splitlines())) <= WIDTH


BANDS = ", ".join(map(str, sorted({preset(name).n_mels for name in preset_names()})))


@pytest.mark.parametrize(
    ("mel", "words"),
    [
        (torch.randn(200, 80), "transposed: frames first; give --frames-first"),
        (torch.randn(80, 128), "or 128 bands and 80 frames: if so, transpose it"),
        (torch.randn(80, 200), "normalized by statistics that only its maker has"),
        (torch.randn(77, 20), f"no preset has 77 bands; presets have {BANDS}"),
        (torch.randn(80, 20).index_fill(1, torch.tensor([3]), math.nan), "NaN or Inf in 80 places"),
        (torch.full((80, 20), math.log(1e-5)), "floor 1e-05"),
        (torch.full((80, 20), math.log(1e-5)), "fits best\n"),
    ],
)
def test_unusual_mels(mel, words):
    assert words in "\n".join(format_identification(identify(mel)))


def test_the_report_is_json(identification, capsys):
    print_json(identification_report(identification))
    report = json.loads(capsys.readouterr().out)
    assert report["log"] == "ln"
    assert "hifigan_22k" in report["best"]
    assert {each["verdict"] for each in report["candidates"]} >= {"possible", "impossible"}
