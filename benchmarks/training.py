"""`python -m benchmarks.training`: what gradients through the inversion are good for, by the scripts of `tests/training`."""

from __future__ import annotations

import statistics
import sys
import time

import torch
from tqdm import tqdm

from benchmarks import common, tables
from benchmarks.common import Record, check
from tests.problems import tones
from tests.training.denoiser import compare
from tests.training.recover_a_mel import CONVENTION, recover
from torchmelinv.demo import signal

GRADIENTS = ("phase_detached", 1, "unrolled")
SEEDS = range(5)
STEPS, ITEMS, HELD = 240, 192, 64


def recovery() -> list[Record]:
    """A mel from the sound of its waveform, by each way back; the error in nepers, before and after."""
    rows = []
    for gradient in tqdm(GRADIENTS, "recover a mel", file=sys.stderr):
        found = recover(signal(sample_rate=CONVENTION.sample_rate), gradient=gradient)
        values = {"before": found.errors[0], "after": found.errors[-1], "loss": found.loss, "loss_of_truth": found.loss_of_truth}
        rows.append({"gradient": gradient, **{name: round(value, 4) for name, value in values.items()}})
    return rows


def denoisers() -> Record:
    """Scores of each denoiser, seed by seed, on signals held back."""
    signals = tones(1600, (ITEMS,))
    found = [compare(signals, HELD, seed, STEPS) for seed in tqdm(SEEDS, "denoiser", file=sys.stderr)]
    return {kind: {name: [round(each[kind][name], 4) for each in found] for name in found[0][kind]} for kind in found[0]}


def main() -> None:
    """Measure, check, write the file and the pages."""
    torch.set_num_threads(1)
    surroundings, start = common.surroundings(), time.perf_counter()
    recovered, scores = recovery(), denoisers()
    fall = recovered[0]["before"] / recovered[0]["after"]
    distance = {kind: statistics.mean(values["lsd_40_db"]) for kind, values in scores.items()}
    checks = [
        check("log-mel error before recovery over that after it, phase_detached", fall, at_least=10),
        check("log-spectral distance within 40 dB, waveform over mel loss", distance["waveform"] / distance["mel"], at_most=0.95),
    ]
    record = {
        "suite": "training",
        **surroundings,
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "checks": checks,
        "recovery": recovered,
        "denoiser": {"steps": STEPS, "examples": ITEMS - HELD, "held": HELD, "seeds": list(SEEDS), "scores": scores},
    }
    common.save("training", record)
    tables.write_pages()


if __name__ == "__main__":
    main()
