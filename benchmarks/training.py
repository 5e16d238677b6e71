"""`python -m benchmarks.training`: train through the inversion, as `tests/training` does."""

from __future__ import annotations

import statistics
import sys
import time

import torch
from tqdm import tqdm

from benchmarks import records, tables
from benchmarks.records import Record, check
from tests.problems import tones
from tests.training.denoiser import compare
from tests.training.recover_a_mel import CONVENTION, recover
from torchmelinv.demo import signal

GRADIENTS = ("phase_detached", 1, "unrolled")
SEEDS = range(5)
STEPS, ITEMS, HELD_OUT = 240, 192, 64


def recovery() -> list[Record]:
    """Recover a mel from its waveform with each gradient mode; errors in nepers."""
    entries = []
    for gradient in tqdm(GRADIENTS, "recover a mel", file=sys.stderr):
        result = recover(signal(sample_rate=CONVENTION.sample_rate), gradient=gradient)
        values = {
            "before": result.errors[0],
            "after": result.errors[-1],
            "loss": result.loss,
            "loss_of_truth": result.loss_of_truth,
        }
        rounded = {name: round(value, 4) for name, value in values.items()}
        entries.append({"gradient": gradient, **rounded})
    return entries


def denoisers() -> Record:
    """Train denoisers with each loss; return their scores on held-out signals, seed by seed."""
    signals = tones(1600, (ITEMS,))
    seeds = tqdm(SEEDS, "denoiser", file=sys.stderr)
    results = [compare(signals, HELD_OUT, seed, STEPS) for seed in seeds]
    return {
        kind: {name: [round(each[kind][name], 4) for each in results] for name in scores}
        for kind, scores in results[0].items()
    }


def main() -> None:
    """Measure, check, and write the file and the tables."""
    torch.set_num_threads(1)
    environment, start = records.environment(), time.perf_counter()
    recovered, scores = recovery(), denoisers()
    minutes = round((time.perf_counter() - start) / 60, 1)
    factor = recovered[0]["before"] / recovered[0]["after"]
    distance = {kind: statistics.mean(values["lsd_40_db"]) for kind, values in scores.items()}
    gain = distance["waveform"] / distance["mel"]
    checks = [
        check("log-mel error before over after recovery, phase_detached", factor, at_least=10),
        check("log-spectral distance within 40 dB, waveform over mel loss", gain, at_most=0.95),
    ]
    denoiser = {
        "steps": STEPS,
        "examples": ITEMS - HELD_OUT,
        "held_out": HELD_OUT,
        "seeds": list(SEEDS),
        "scores": scores,
    }
    record = {
        "suite": "training",
        **environment,
        "minutes": minutes,
        "checks": checks,
        "recovery": recovered,
        "denoiser": denoiser,
    }
    records.save("training", record)
    tables.write_pages()


if __name__ == "__main__":
    main()
