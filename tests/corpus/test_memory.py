"""Memory of an inversion: the estimate is enough."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tests.peak import needs_peak
from tests.shared import ROOT
from torchmelinv.conventions.presets import preset
from torchmelinv.corpus.memory import GIB, bytes_per_frame, default_budget


def test_the_default_budget_of_the_cpu():
    assert default_budget(torch.device("cpu")) == GIB


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
