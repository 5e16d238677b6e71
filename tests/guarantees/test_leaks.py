"""Inverting again and again keeps nothing: the memory of a process stays flat, whatever lengths come."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import theilslopes

from tests.shared import ROOT

KEPT = 1000  # bytes for each inversion; the smallest waveform here has 2048, the smallest mel 2304, the smallest plan 2560

# More lengths than any table of plans holds, so that these are made and forgotten all the time; conventions change, too.
PROGRAM = """
import contextlib, ctypes, gc, os, sys, time
from pathlib import Path
import torch
import torchmelinv as tmi

def resident():
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what the allocator keeps for later is not ours
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

torch.set_num_threads(1)
rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
level = tmi.Level(log="ln", floor=1e-5)
conventions = [tmi.MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=n, level=level) for n in (16, 18, 20)]
starts = ("pghi", "spsi", "zero")
inverters = [tmi.MelInverter(convention, n_iter=1, start=start) for convention, start in zip(conventions, starts)]
ways = ("transpose", "griffin_lim"), ("least_distance", "raar"), ("pinv", "admm"), ("entropic", "fast_griffin_lim")
inverters += [tmi.MelInverter(conventions[0], *way, n_iter=1, start="random", seed=seed) for seed, way in enumerate(ways)]
lengths = [36 + (37 * step) % 71 for step in range(71)]
generator, begun, done = torch.Generator().manual_seed(0), time.monotonic(), 0
while done < rounds or time.monotonic() - begun < seconds:
    for frames in lengths:
        inverter = inverters[(done + frames) % len(inverters)]
        mel = torch.rand(inverter.convention.n_mels, frames, generator=generator) - 3
        if frames % 10 == 0:  # a training step
            mel.requires_grad_()
            inverter(mel).square().mean().backward()
        elif frames % 10 == 1:  # a new one each time
            tmi.MelInverter(inverter.convention, "transpose", n_iter=1)(mel)
        else:
            inverter(mel, lengths=torch.tensor(frames - frames % 3) if frames % 2 else None)
    done += 1
    print(len(lengths), resident(), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize(("rounds", "seconds"), [(9, 0), pytest.param(100, 1200, marks=pytest.mark.slow)])
def test_memory_stays_flat(rounds, seconds):
    """Theil and Sen's slope is flat within its 99 % interval, or that lies below the least that an inversion could keep."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", PROGRAM, str(rounds), str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts, resident = np.array([line.split() for line in done.stdout.splitlines()], dtype=float).T
    warm = len(counts) // 3
    inversions, resident = counts.cumsum()[warm:], resident[warm:]
    slope, start, low, high = theilslopes(resident, inversions, alpha=0.99)
    said = f"{low:.0f} to {high:.0f} bytes for each of {np.ptp(inversions):.0f} inversions, from {start / 1e6:.0f} MB on"
    assert slope < KEPT, said
    assert low <= 0 or high < KEPT, said
    print(said)
