"""What an inversion takes: enough is reckoned with, and too little is recognised."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tests.peak import needs_peak
from tests.shared import ROOT
from torchmelinv.jobs.memory import GIB, bytes_per_frame, out_of_memory, usual_budget
from torchmelinv.presets import preset


def test_too_little_memory_has_several_names():
    assert out_of_memory(torch.OutOfMemoryError())
    assert out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.float64)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("shapes differ"))
    assert not out_of_memory(ValueError())


def test_the_usual_budget():
    assert usual_budget(torch.device("cpu")) == GIB


@pytest.mark.gpu
def test_half_of_what_is_free_on_a_gpu():
    assert 0 < usual_budget(torch.device("cuda")) <= torch.cuda.get_device_properties(0).total_memory // 2


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
def test_a_frame_takes_no_more_than_is_reckoned_with():
    taken = int(subprocess.run([sys.executable, "-c", PEAK], cwd=ROOT, text=True, capture_output=True, check=True).stdout)
    reckoned = 2000 * bytes_per_frame(preset("hifigan_22k"))
    assert reckoned / 3 < taken < reckoned
