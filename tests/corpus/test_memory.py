"""Memory of an inversion: the estimate is enough."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch

from tests.peak import needs_peak
from tests.shared import ROOT
from torchmelinv.conventions.presets import preset
from torchmelinv.corpus import memory
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.corpus.memory import GIB, bytes_per_frame, default_budget
from torchmelinv.invert import MelInverter

CPU = torch.device("cpu")


def test_the_default_budget_of_the_cpu_is_half_of_little_memory(monkeypatch):
    for available, budget in ((math.inf, GIB), (8e9, GIB), (1e9, 5e8)):
        monkeypatch.setattr(memory, "available_memory", lambda available=available: available)
        assert default_budget(CPU) == budget


def test_a_mel_that_is_too_long_is_an_error_and_the_others_are_inverted(monkeypatch):
    monkeypatch.setattr(memory, "GIB", 10_000_000)
    monkeypatch.setattr(memory, "available_memory", lambda: 2e7)
    sources = [("long", torch.zeros(80, 3000) - 5), ("short", torch.zeros(80, 20) - 5)]
    inverter = MelInverter("hifigan_22k", n_iter=1)
    results = {each.name: each for each in invert_many(sources, inverter, memory=1e9)}
    assert results["short"].error is None
    assert "takes about 0.492 GB of memory and 0.02 GB are available" in results["long"].error


def test_the_memory_of_long_mels_hardly_grows_beyond_their_signals():
    inverter = MelInverter("hifigan_22k")
    minutes = [inverter.memory_of(n_frames) for n_frames in (100, 5_168, 310_078)]
    assert minutes == sorted(minutes)
    assert minutes[2] < 4e9
    assert MelInverter("hifigan_22k", phase="raar").memory_of(310_078) > 4e10


@pytest.mark.gpu
def test_the_default_budget_of_a_gpu_is_half_of_what_is_free():
    budget = default_budget(torch.device("cuda"))
    assert 0 < budget <= torch.cuda.get_device_properties(0).total_memory // 2


PEAK = """
import torch, torchmelinv as tmi
from tests.peak import peak
torch.set_num_threads(1)
inverter = tmi.MelInverter("hifigan_22k", n_iter=2)
with torch.no_grad():
    inverter(torch.randn(80, 50) - 5)
    before = peak()
    inverter(torch.randn(80, 2000) - 5)
print(peak() - before)
"""


@needs_peak
def test_a_frame_takes_no_more_than_the_estimate():
    command = [sys.executable, "-c", PEAK]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    estimate = 2000 * bytes_per_frame(preset("hifigan_22k"))
    assert estimate / 3 < int(done.stdout) < estimate


@pytest.mark.slow
@needs_peak
def test_a_long_mel_takes_no_more_than_the_estimate():
    program = PEAK.replace("2000", "60000").replace("n_iter=2", "n_iter=1")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert int(done.stdout) < MelInverter("hifigan_22k").memory_of(60_000)
