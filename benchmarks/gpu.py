"""`python -m benchmarks.gpu`: speed and accuracy on a CUDA device, against torchaudio.

Every implementation is checked against float64 before it is timed; one that is wrong or fails is
recorded with its reason and gets no time. `results/gpu-<name>.json` is written after every
implementation. A process of its own measures: if a kernel breaks the device's context or hangs,
another process continues without that kernel and without what depends on it.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import (
    gpu_accuracy_case,
    gpu_call_cases,
    gpu_corpus_case,
    gpu_gradient_case,
    gpu_launches_case,
    gpu_measure,
    gpu_mel_cases,
    gpu_process,
    gpu_step_cases,
    gpu_work,
    records,
)
from benchmarks.gpu_case import Case
from benchmarks.gpu_clock import Clock, Cuda, DryRun
from benchmarks.gpu_inputs import FULL, MAIN, SETTINGS, TINY, Setting
from benchmarks.gpu_measure import PlannedCase
from benchmarks.records import Record

SECONDS = 480
DRY_RUN = "dry run: no number below is a measurement"


def _planned(kind: str, make: Callable[..., Case], *given: Setting | int) -> PlannedCase:
    """Plan a case; its name has the setting and the batch."""
    names = [f"batch {each}" if isinstance(each, int) else str(each) for each in given]
    return PlannedCase(" ".join([kind, *names]), functools.partial(make, *given))


def all_cases() -> list[PlannedCase]:
    """Return all cases; the most important ones come first, because time may run out."""

    def calls_and_steps(settings: Sequence[Setting], batch: int) -> list[PlannedCase]:
        result = []
        for setting in settings:
            result.append(_planned("step", gpu_step_cases.step, setting, batch))
            result.append(_planned("call", gpu_call_cases.call, setting, batch))
        return result

    mel_step = functools.partial(gpu_step_cases.step, MAIN, preset=gpu_step_cases.PRESET)

    def accuracy(settings: Sequence[Setting]) -> list[PlannedCase]:
        return [
            PlannedCase(
                f"accuracy {setting}", functools.partial(gpu_accuracy_case.accuracy, setting, 16)
            )
            for setting in settings
        ]

    return [
        *(_planned("waveform", gpu_mel_cases.mel_to_waveform, batch) for batch in (1, 16, 64)),
        *(planned for batch in (64, 1, 16) for planned in calls_and_steps((MAIN,), batch)),
        _planned("entropic", gpu_mel_cases.entropic_magnitude, 64),
        _planned("gradient", gpu_gradient_case.gradient, 16),
        *(_planned("mel", mel_step, batch) for batch in (64, 16)),
        *accuracy((MAIN,)),
        _planned("corpus", gpu_corpus_case.corpus),
        *(_planned("push", gpu_corpus_case.push, batch) for batch in (1, 16)),
        *accuracy(SETTINGS[1:]),
        *(_planned("init", gpu_mel_cases.initial_phases, batch) for batch in (1, 64)),
        *(planned for batch in (64, 16, 1) for planned in calls_and_steps(SETTINGS[1:], batch)),
        # Last: the profiler may slow down what the same process launches afterwards.
        _planned("launches", gpu_launches_case.launches_and_waits),
    ]


def sweep_cases() -> list[PlannedCase]:
    """Return the cases of the fused step with other launch parameters."""
    return [
        _planned("sweep", gpu_step_cases.sweep, setting, batch)
        for setting in (MAIN, SETTINGS[2])
        for batch in (64, 16, 1)
    ]


def select_cases(name: str) -> list[PlannedCase]:
    """Return the case with this name, or all whose names contain it.

    Sweeps are selected only by a name that starts with "sweep".
    """
    planned_cases = sweep_cases() if name.startswith("sweep") else all_cases()
    exact = [planned for planned in planned_cases if planned.key == name]
    return exact or [planned for planned in planned_cases if name in planned.key]


def suite_name(device: str) -> str:
    """Return the name of the file: gpu-h200 for an NVIDIA H200."""
    words = re.findall(r"[a-z0-9]+", device.lower())
    return "-".join(["gpu", *(w for w in words if w not in ("nvidia", "geforce", "tesla"))])


def new_record(suite: str, clock: Clock) -> Record:
    """Return the record before the first case."""
    return {
        "suite": suite,
        **records.environment(),
        "device": clock.describe(),
        "model": gpu_work.MODEL,
        "running": None,
        "broken": {},
        "cases": {},
    }


def open_record(
    suite: str, clock: Clock, options: argparse.Namespace, keys: Sequence[str]
) -> Record:
    """Return a new record, or on resumption that of the file.

    If only some cases are selected, the other cases of the file stay, with their dates.
    """
    if options.resume:
        return records.load(suite, options.out)
    record = new_record(suite, clock)
    if options.cases and (options.out / f"{suite}.json").exists():
        before = records.load(suite, options.out)["cases"]
        record["cases"] = {key: case for key, case in before.items() if key not in keys}
    return record


def _work(options: argparse.Namespace, planned_cases: Sequence[PlannedCase]) -> int:
    """Measure in this process."""
    clock = Cuda()
    suite = suite_name(clock.properties.name)
    record = open_record(suite, clock, options, [planned.key for planned in planned_cases])
    save = functools.partial(records.save, suite, record, options.out)
    save()
    return gpu_measure.run(record, planned_cases, FULL, clock, save, options.worker)


def dry_run(planned_cases: Sequence[PlannedCase]) -> Record:
    """Run every path with tiny inputs on the CPU, in this process. Writes nothing."""
    print(DRY_RUN)
    clock = DryRun()
    record = new_record("dry-run", clock)
    gpu_measure.run(record, planned_cases, TINY, clock, lambda: None, float("inf"))
    return record


def new_parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the option for the folder of the results."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{program}", description=description
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=records.RESULTS,
        help="folder of the results (default: benchmarks/results)",
    )
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gpu", "Speed and accuracy on a CUDA device.")
    parser.add_argument(
        "--cases",
        default="",
        metavar="NAME",
        help="measure only the case with this name, or all whose names contain it; the other cases "
        "stay in the file. 'sweep' times the fused step with other launch parameters",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"start no implementation after this time (default: {SECONDS})",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="run every path with tiny inputs on the CPU; measures and writes nothing",
    )
    # internal: measure in this process, until this time; continue the file
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; write the tables of the pages if the results are in their own folder."""
    parser = _parser()
    options = parser.parse_args(argv)
    options.out = options.out.resolve()
    planned_cases = select_cases(options.cases)
    if not planned_cases:
        names = ", ".join(planned.key for planned in all_cases())
        parser.error(f"no case has {options.cases!r} in its name; the cases are {names}")
    if options.dry_run:
        dry_run(planned_cases)
        return 0
    if not torch.cuda.is_available():
        print("there is no CUDA device; --dry-run runs all cases on the CPU", file=sys.stderr)
        return 2
    if options.worker is not None:
        return _work(options, planned_cases)
    suite = suite_name(torch.cuda.get_device_properties(0).name)
    code = gpu_process.measure(options, suite, time.time() + options.seconds)
    if options.out == records.RESULTS:
        _write_pages()
    return code


def _write_pages() -> None:
    try:
        from benchmarks import tables  # needs librosa, for the tables of other suites
    except ImportError as error:
        print(
            f"the tables of the pages were not written ({error}); `python -m benchmarks.tables` "
            "writes them from the file"
        )
    else:
        tables.write_pages()


if __name__ == "__main__":
    sys.exit(main())
