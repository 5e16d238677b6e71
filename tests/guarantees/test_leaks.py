"""Repeated inversion leaks no memory, whatever lengths come."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import theilslopes

from tests.shared import ROOT

# Bytes per inversion. The smallest waveform here has 2048, the smallest mel 2304, the smallest plan
# 2560.
LARGEST_GROWTH = 1000

# There are more lengths than any table of plans holds, so plans are made and dropped all the time.
# Conventions change, too.
PROGRAM = """
import contextlib, ctypes, gc, os, sys, time
from pathlib import Path
import torch
import torchmelinv as tmi

def resident():
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # returns what the allocator holds back
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def tiny(n_mels):
    level = tmi.Compression(log="ln", floor=1e-5)
    return tmi.MelConvention(
        sample_rate=8000, n_fft=64, hop_length=16, n_mels=n_mels, level=level
    )

torch.set_num_threads(1)
rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
conventions = [tiny(n_mels) for n_mels in (16, 18, 20)]
inverters = [
    tmi.MelInverter(convention, n_iter=1, init=init)
    for convention, init in zip(conventions, ("pghi", "spsi", "zero"))
]
methods = (
    ("transpose", "griffin_lim"),
    ("least_distance", "raar"),
    ("pinv", "admm"),
    ("entropic", "fast_griffin_lim"),
)
inverters += [
    tmi.MelInverter(conventions[0], *method, n_iter=1, init="random", seed=seed)
    for seed, method in enumerate(methods)
]
lengths = [36 + (37 * step) % 71 for step in range(71)]
generator, start, done = torch.Generator().manual_seed(0), time.monotonic(), 0
while done < rounds or time.monotonic() - start < seconds:
    for frames in lengths:
        inverter = inverters[(done + frames) % len(inverters)]
        mel = torch.rand(inverter.convention.n_mels, frames, generator=generator) - 3
        if frames % 10 == 0:  # a training step
            mel.requires_grad_()
            inverter(mel).square().mean().backward()
        elif frames % 10 == 1:  # another inverter each time
            tmi.MelInverter(inverter.convention, "transpose", n_iter=1)(mel)
        else:
            inverter(mel, lengths=torch.tensor(frames - frames % 3) if frames % 2 else None)
    done += 1
    print(len(lengths), resident(), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("rounds", "seconds"), [(9, 0), pytest.param(100, 1200, marks=pytest.mark.slow)]
)
def test_memory_does_not_grow(rounds, seconds):
    """The 99 % interval of the Theil-Sen slope contains 0, or is below any possible leak."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "MALLOC_ARENA_MAX": "1",
    }
    command = [sys.executable, "-c", PROGRAM, str(rounds), str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts, resident = np.array([line.split() for line in done.stdout.splitlines()], dtype=float).T
    warm = len(counts) // 3
    inversions, resident = counts.cumsum()[warm:], resident[warm:]
    slope, start, low, high = theilslopes(resident, inversions, alpha=0.99)
    growth = (
        f"{low:.0f} to {high:.0f} bytes per inversion over {np.ptp(inversions):.0f} inversions, "
        f"from {start / 1e6:.0f} MB"
    )
    assert slope < LARGEST_GROWTH, growth
    assert low <= 0 or high < LARGEST_GROWTH, growth
    print(growth)
