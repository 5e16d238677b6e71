"""`python -m benchmarks.gpu`: how fast on a CUDA device, beside torchaudio and plain torch, and how near to the hardware's floor.

Every contender is held against float64 before its time counts; one that is wrong, or fails, is recorded with its reason and
gets no time. `results/gpu-<name>.json` is written after every contender. The measuring is done by a process of its own: where a
kernel breaks the device's context, or hangs, another process goes on, without what builds on that kernel.
"""

from __future__ import annotations

import argparse
import functools
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks import common, gpu_cases, gpu_inputs, gpu_mel_cases, gpu_process
from benchmarks.common import CheckFailed, Record
from benchmarks.gpu_cases import NotServed
from benchmarks.gpu_clock import Clock, Cuda, Poisoned, Rehearsal, launched
from benchmarks.gpu_inputs import FULL, MAIN, SETTINGS, TINY, Case, Contender, Scale, Setting
from torchmelinv.ops import graphs

SECONDS = 480
BROKEN = 3  # exit code of a measuring process whose device takes no more work
OVER = "time was over"
REHEARSED = "rehearsal: no figure below is a measurement"


class Planned(NamedTuple):
    """A case before it is made, by its name in the file."""

    key: str
    make: Callable[[Scale, Clock], Case]


def plans(sweep: bool = False) -> list[Planned]:
    """All cases; those of the targets first, for time may run out."""

    def one(kind: str, make: Callable[..., Case], *given: Setting | int, **more: str) -> Planned:
        named = [f"batch {each}" if isinstance(each, int) else str(each) for each in given]
        return Planned(" ".join([kind, *named]), functools.partial(make, *given, **more))

    def of(setting: Setting, batch: int) -> list[Planned]:
        return [one("step", gpu_cases.step, setting, batch), one("call", gpu_cases.call, setting, batch)]

    if sweep:
        return [one("sweep", gpu_cases.sweep, setting, batch) for setting in (MAIN, SETTINGS[2]) for batch in (64, 16, 1)]
    return [
        *(planned for batch in (64, 1, 16) for planned in of(MAIN, batch)),
        one("entropic", gpu_mel_cases.inverse, 64),
        one("gradient", gpu_mel_cases.gradient, 16),
        *(one("mel", functools.partial(gpu_cases.step, MAIN), batch, preset=gpu_cases.PRESET) for batch in (64, 16)),
        *(Planned(f"accuracy {each}", functools.partial(gpu_cases.accuracy, each, 16)) for each in SETTINGS),
        *(one("waveform", gpu_mel_cases.to_waveform, batch) for batch in (1, 16)),
        *(one("start", gpu_mel_cases.start, batch) for batch in (1, 64)),
        *(planned for batch in (64, 16, 1) for setting in SETTINGS[1:] for planned in of(setting, batch)),
    ]


def chosen_by(name: str) -> list[Planned]:
    """The case of that name, or all with it in theirs; those of the sweep only where it is asked for."""
    every = plans(sweep=name.startswith("sweep"))
    return [planned for planned in every if planned.key == name] or [planned for planned in every if name in planned.key]


def measured(case: Case, contender: Contender, clock: Clock, ceiling: float) -> Record:
    """An entry for the file; raises where the contender is not right."""
    graphs.forget()
    with launched() as names:
        if case.accuracy is not None:
            with Poisoned():
                entry: Record = {"accuracy": case.accuracy(contender)}
        else:
            run = contender.make(case.n_iter)
            prepared = clock.prepared(run, case.sets, contender.graph)
            with Poisoned():
                ends = [(index, prepared.result(index)) for index in (0, len(case.sets) - 1)]
                entry = {"checks": [each for end in ends for each in case.checks(contender, contender.make, *end)]}
            graphs.forget()  # those of the library's own that were recorded here would fill memory with NaN again and again
    if contender.kernels and not names:
        raise CheckFailed("no kernel was launched: something else gave the result")
    entry["kernels"] = sorted(names)
    if case.accuracy is not None:
        return entry
    if contender.graph is None:  # three calls, for the library itself records the second and replays the third
        parts = contender.parts(case.sets[0]) if contender.parts else {str(n): lambda: run(case.sets[0]) for n in range(3)}
        peaks = clock.peaks(list(parts.values()))
        entry["peak_bytes"] = max(peaks, default=None)
        entry |= {f"{name}_peak_bytes": peak for name, peak in zip(parts, peaks, strict=False) if contender.parts}
    runs = clock.seconds(prepared)
    seconds = statistics.median(runs)
    quartiles = statistics.quantiles(runs, n=4)[::2] if len(runs) > 1 else runs * 2
    entry |= {"seconds": _digits(seconds), "quartiles": [_digits(each) for each in quartiles]}
    return entry | derived(case.work, seconds / case.n_iter, ceiling)


def derived(work: gpu_inputs.Work | None, seconds: float, ceiling: float) -> Record:
    """One iteration beside the fewest bytes and operations that it takes; the ceiling is that of bytes in a second."""
    if work is None:
        return {"seconds_per_iteration": _digits(seconds)}
    return {
        "seconds_per_iteration": _digits(seconds),
        "floor_bytes_per_second": _digits(work.bytes / seconds),
        "flops_per_second": _digits(work.flops / seconds),
        "times_byte_floor": _digits(seconds * ceiling / work.bytes),
    }


def _digits(value: float) -> float:
    return float(f"{value:.5g}")


def reason(error: BaseException) -> str:
    """One line of an error, without paths."""
    first = (str(error).strip() or type(error).__name__).split("\n")[0]
    text = first if isinstance(error, CheckFailed) else f"{type(error).__name__}: {first}"
    return re.sub(r"(/[\w.+-]+){2,}", "…", text)[:300]


def work(record: Record, chosen: Sequence[Planned], scale: Scale, clock: Clock, save: Callable[[], None], until: float) -> int:
    """Measure what the record does not have yet. What came out, or why nothing did, is saved contender by contender."""
    for planned in chosen:
        entry = record["cases"].setdefault(planned.key, {"contenders": {}, "date": record["date"]})
        if entry.get("done"):
            continue
        record["running"] = [planned.key, None, None]
        save()
        try:
            if time.time() > until:
                raise CheckFailed(OVER)
            case = planned.make(scale, clock)
        except Exception as error:
            entry["failed"] = reason(error)
            print(f"{planned.key}: {entry['failed']}", flush=True)
        else:
            entry |= case.facts()
            # first what has no kernels, which is then there whatever they do
            for contender in sorted(case.contenders, key=lambda one: bool(one.kernels)):
                if contender.name in entry["contenders"]:
                    continue
                record["running"] = [planned.key, contender.name, contender.words[0]]
                save()
                if not _one(record, case, contender, clock, until):
                    save()
                    return BROKEN
        entry["done"], record["running"] = True, None
        save()
        try:
            clock.settle()
        except Exception:  # of a case that could not even be made: the next process goes on after it
            return BROKEN
    return 0


def _one(record: Record, case: Case, contender: Contender, clock: Clock, until: float) -> bool:
    """Measure one contender. Whether the device still takes work afterwards."""
    key, name, _ = record["running"]
    try:
        broken = [record["broken"][word] for word in contender.words if word in record["broken"]]
        if broken or time.time() > until:
            raise CheckFailed(f"not tried after {broken[0]}" if broken else OVER)
        found = measured(case, contender, clock, record["device"]["copy_bytes_per_second"])
    except Exception as error:
        found = {"failed": reason(error), **({"unserved": True} if isinstance(error, NotServed) else {})}
    try:
        clock.settle()
    except Exception as error:
        gpu_process.blame(record, f"broke the device: {found.get('failed') or reason(error)}")
        return False
    record["cases"][key]["contenders"][name] = found
    print(f"{key}, {name}: {said(found)}", flush=True)
    return True


def said(found: Record) -> str:
    """An entry in words."""
    if "failed" in found:
        return f"no time: {found['failed']}"
    if "accuracy" in found:
        return ", ".join(f"{name} {value:.3g}" for name, value in found["accuracy"].items())
    times = found.get("times_byte_floor", math.nan)
    floor = "" if math.isnan(times) else f", {times:.2f} × the byte floor"
    return f"{found['seconds'] * 1e3:.4g} ms{floor}"


def suite_name(device: str) -> str:
    """gpu-h200 of an NVIDIA H200."""
    words = [word for word in re.findall(r"[a-z0-9]+", device.lower()) if word not in ("nvidia", "geforce", "tesla")]
    return "-".join(["gpu", *words])


def new_record(suite: str, clock: Clock) -> Record:
    """What is known before the first case."""
    surroundings = {"suite": suite, **common.surroundings(), "device": clock.describe(), "model": gpu_inputs.WORDS}
    return {**surroundings, "running": None, "broken": {}, "cases": {}}


def _worker(options: argparse.Namespace, chosen: Sequence[Planned]) -> int:
    clock = Cuda()
    suite = suite_name(clock.properties.name)
    record = opened(suite, clock, options, [planned.key for planned in chosen])
    save = functools.partial(common.save, suite, record, options.out)
    save()
    return work(record, chosen, FULL, clock, save, options.worker)


def opened(suite: str, clock: Clock, options: argparse.Namespace, keys: Sequence[str]) -> Record:
    """A new file; where only some cases are asked for, with the others as they were, each with the date that it has."""
    if options.resume:
        return common.load(suite, options.out)
    record = new_record(suite, clock)
    if options.cases and (options.out / f"{suite}.json").exists():
        before = common.load(suite, options.out)["cases"]
        record["cases"] = {key: case for key, case in before.items() if key not in keys}
    return record


def rehearse(chosen: Sequence[Planned]) -> Record:
    """Every case's path on the processor, tiny, in this process. Writes nothing."""
    print(REHEARSED)
    clock = Rehearsal()
    record = new_record("rehearsal", clock)
    work(record, chosen, TINY, clock, lambda: None, float("inf"))
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and bring the pages' tables up to date where the results lie in their own folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Speed and accuracy on a CUDA device.")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder of the results (default: benchmarks/results)")
    parser.add_argument("--cases", default="", metavar="NAME", help="the case of this name, or all with it in theirs, anew; the "
                        "others stay in the file. 'sweep': instead of them the fused step with other numbers")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"start no contender after so long (default: {SECONDS})")
    parser.add_argument("--rehearse", action="store_true", help="every path, tiny, on the processor; measures and writes nothing")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)  # measure in this process, until then
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)  # what the file does not have
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    chosen = chosen_by(options.cases)
    if not chosen:
        parser.error(f"no case has {options.cases!r} in its name; there are {', '.join(planned.key for planned in plans())}")
    if options.rehearse:
        rehearse(chosen)
        return 0
    if not torch.cuda.is_available():
        print("there is no CUDA device here; --rehearse goes through all cases without one", file=sys.stderr)
        return 2
    if options.worker is not None:
        return _worker(options, chosen)
    code = gpu_process.measure(options, suite_name(torch.cuda.get_device_properties(0).name), time.time() + options.seconds)
    if options.out == common.RESULTS:
        try:
            from benchmarks import tables  # with tables of other suites, which need librosa
        except ImportError as error:
            print(f"the pages' tables were not rewritten ({error}); `python -m benchmarks.tables` does that from the file")
        else:
            tables.write_pages()
    return code


if __name__ == "__main__":
    sys.exit(main())
