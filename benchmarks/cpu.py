"""`python -m benchmarks.cpu`: speed on a CPU, against torchaudio and librosa.

Each case is checked before it is timed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence

import torch
from tqdm import tqdm

from benchmarks import cpu_mel_cases, cpu_phase_cases, measurement, records, tables
from benchmarks.cpu_case import Case
from benchmarks.records import Record

CASES: Sequence[Callable[[], Case]] = (
    functools.partial(cpu_phase_cases.fast_griffin_lim, 1),
    functools.partial(cpu_phase_cases.fast_griffin_lim, 8),
    functools.partial(cpu_mel_cases.magnitude_inverse, 1),
    functools.partial(cpu_mel_cases.magnitude_inverse, 2),
    cpu_mel_cases.mel_to_waveform,
    cpu_phase_cases.mel_consistent,
    cpu_phase_cases.initial_phases,
)


def main() -> int:
    """Measure, write `results/cpu.json` and the tables, and print the targets that are missed."""
    torch.set_num_threads(measurement.THREADS)
    record: Record = {
        "suite": "cpu",
        **records.environment(),
        "repeats": measurement.REPEATS,
        "cases": [],
    }
    missed = []
    with torch.inference_mode():
        for make_case in tqdm(CASES, unit="case"):
            case = make_case()
            seconds, rounds = measurement.alternate(case.functions)
            ratios = measurement.ratios(seconds, case.ours)
            for peer, target in case.targets.items():
                if ratios[peer] < target:
                    speed = f"{ratios[peer]:.2f} times the speed of {peer}, target {target:g}"
                    missed.append(f"{case.title}: {speed}")
            entry = {"title": case.title, "ours": case.ours, "seconds": seconds, "rounds": rounds}
            entry |= {"times_faster": ratios, "targets": case.targets, "checks": case.checks}
            record["cases"].append({**entry, **case.notes})
            times = ", ".join(f"{value:.2f} × {peer}" for peer, value in ratios.items())
            tqdm.write(f"{case.title}: {times}")
    records.save("cpu", record)
    tables.write_pages()
    print("\n".join(missed or ["all targets are reached"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
