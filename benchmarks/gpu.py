"""`python -m benchmarks.gpu`: how fast on a CUDA device, beside torchaudio and plain torch, and how near to the hardware's floor.

Every contender is held against float64 before its time counts; one that is wrong, or fails, is recorded with its reason and
gets no time. `results/gpu-<name>.json` is written after every contender. The measuring is done by a process of its own: where a
kernel breaks the device's context, or hangs, it is that contender which failed, and another process goes on after it.
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
from typing import Any, NamedTuple

import torch

from benchmarks import common, gpu_cases, gpu_mel_cases, gpu_model, gpu_process, gpu_sweep
from benchmarks.common import CheckFailed, Record
from benchmarks.gpu_clock import Clock, Cuda, Rehearsal, launched, poisoned
from benchmarks.gpu_inputs import FULL, MAIN, SETTINGS, TINY, Case, Contender, NotServed, Scale
from torchmelinv.ops import graphs

SECONDS = 450
BROKEN = 3  # exit code of a measuring process whose device takes no more work
REHEARSED = "rehearsal: no figure below is a measurement"


class Planned(NamedTuple):
    """A case before it is made, by its name in the file."""

    key: str
    make: Callable[[Scale, Clock], Case]


def plans() -> list[Planned]:
    """All cases; those of the targets first, for time may run out."""

    def of(setting: Any, batches: Sequence[int]) -> list[Planned]:
        found = []
        for batch in batches:
            found.append(Planned(f"call {setting} batch {batch}", functools.partial(gpu_cases.call, setting, batch)))
            found.append(Planned(f"step {setting} batch {batch}", functools.partial(gpu_cases.step, setting, batch)))
        return found

    def accuracy(setting: Any) -> Planned:
        return Planned(f"accuracy {setting}", functools.partial(gpu_cases.accuracy, setting, 16))

    return [
        *of(MAIN, (64, 1, 16)),
        Planned("entropic batch 64", functools.partial(gpu_mel_cases.inverse, 64)),
        Planned("gradient batch 16", functools.partial(gpu_mel_cases.gradient, 16)),
        Planned("mel batch 64", functools.partial(gpu_mel_cases.mel_iteration, 64)),
        *map(accuracy, SETTINGS),
        Planned("mel batch 16", functools.partial(gpu_mel_cases.mel_iteration, 16)),
        *(planned for setting in SETTINGS[1:] for planned in of(setting, (64,))),
        *(planned for setting in SETTINGS[1:] for planned in of(setting, (16, 1))),
    ]  # fmt: skip


def sweeps() -> list[Planned]:
    """Other numbers for the fused step."""
    which = [(setting, batch) for setting in (MAIN, SETTINGS[2]) for batch in (64, 16, 1)]
    return [Planned(f"sweep {setting} batch {b}", functools.partial(gpu_sweep.sweep, setting, b)) for setting, b in which]


def measured(case: Case, contender: Contender, clock: Clock, ceilings: Record) -> Record:
    """An entry for the file; raises where the contender is not right."""
    graphs.forget()
    with launched() as names:
        if case.accuracy is not None:
            with poisoned():
                entry: Record = {"accuracy": case.accuracy(contender)}
        else:
            run = contender.make(case.n_iter)
            prepared = clock.prepared(run, case.sets, contender.graph)
            with poisoned():
                entry = {"checks": case.checks(contender, contender.make, prepared.result)}
            graphs.forget()  # those of the library's own that were recorded here would fill memory with NaN again and again
    if contender.kernels and not names:
        raise CheckFailed("no kernel was launched: something else gave the result")
    entry["kernels"] = sorted(names)
    if case.accuracy is not None:
        return entry
    if contender.memory is not None:
        entry |= contender.memory(clock, case.sets[0])
    elif contender.graph is None:
        with clock.peak() as peak:
            run(case.sets[0])
        entry["peak_bytes"] = peak.bytes
    runs = clock.seconds(prepared)
    seconds = statistics.median(runs)
    quartiles = statistics.quantiles(runs, n=4)[::2] if len(runs) > 1 else runs * 2
    entry |= {"seconds": _digits(seconds), "quartiles": [_digits(each) for each in quartiles], "blocks": len(runs)}
    return entry | derived(contender.work or case.work, seconds / case.n_iter, ceilings)


def derived(work: gpu_model.Work | None, seconds: float, ceilings: Record) -> Record:
    """One iteration beside the fewest bytes and operations that it takes."""
    if work is None:
        return {}
    floor = work.bytes / ceilings["copy_bytes_per_second"]
    return {
        "seconds_per_iteration": _digits(seconds),
        "bytes_per_second": _digits(work.bytes / seconds),
        "flops_per_second": _digits(work.flops / seconds),
        "times_byte_floor": _digits(seconds / floor),
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
        entry = record["cases"].setdefault(planned.key, {"contenders": {}})
        if entry.get("done"):
            continue
        if time.time() > until:
            del record["cases"][planned.key]
            record["skipped"].append(planned.key)
            save()
            continue
        try:
            if not _one_case(record, planned, entry, scale, clock, save, until):
                return BROKEN
        except Exception as error:
            entry["failed"] = reason(error)
            print(f"{planned.key}: {entry['failed']}", flush=True)
        entry["done"], record["running"] = True, None
        save()
        try:
            clock.settle()
        except Exception:  # of a case that could not even be made: the next process goes on after it
            return BROKEN
    return 0


def _one_case(
    record: Record, planned: Planned, entry: Record, scale: Scale, clock: Clock, save: Callable[[], None], until: float
) -> bool:
    """Whether the device still takes work afterwards."""
    record["running"] = [planned.key, None]
    save()
    case = planned.make(scale, clock)
    entry |= {**case.facts, "n_iter": case.n_iter, "sets": len(case.sets)}
    if case.work is not None:
        entry["work"] = {"bytes": case.work.bytes, "flops": _digits(case.work.flops)}
    for contender in case.contenders:
        if contender.name in entry["contenders"]:
            continue
        if time.time() > until:
            record["skipped"].append(f"{planned.key}: {contender.name}")
            continue
        record["running"] = [planned.key, contender.name]
        save()
        alive = True
        try:
            found = measured(case, contender, clock, record["device"])
        except Exception as error:
            found = {"failed": reason(error), **({"unserved": True} if isinstance(error, NotServed) else {})}
        try:
            clock.settle()
        except Exception as error:
            alive, found = False, {"failed": f"broke the device: {found.get('failed') or reason(error)}"}
        entry["contenders"][contender.name], record["running"] = found, None
        save()
        print(f"{planned.key}, {contender.name}: {said(found)}", flush=True)
        if not alive:
            return False
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


def suite_name(device: str, sweep: bool = False) -> str:
    """gpu-h200 of an NVIDIA H200."""
    words = [word for word in re.findall(r"[a-z0-9]+", device.lower()) if word not in ("nvidia", "geforce", "tesla")]
    return "-".join(["sweep" if sweep else "gpu", *words])


def new_record(suite: str, clock: Clock) -> Record:
    """What is known before the first case."""
    surroundings = {"suite": suite, **common.surroundings(), "device": clock.describe(), "model": gpu_model.WORDS}
    return {**surroundings, "running": None, "skipped": [], "cases": {}}


def _worker(options: argparse.Namespace, chosen: Sequence[Planned]) -> int:
    clock = Cuda()
    suite = suite_name(clock.properties.name, options.sweep)
    record = common.load(suite, options.out) if options.resume else new_record(suite, clock)
    save = functools.partial(common.save, suite, record, options.out)
    save()
    return work(record, chosen, FULL, clock, save, options.worker)


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
    parser.add_argument("--cases", default="", metavar="SUBSTRING", help="only cases with this in their name")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"start no contender after so long (default: {SECONDS})")
    parser.add_argument("--sweep", action="store_true", help="instead of the cases: the fused step with other numbers")
    parser.add_argument("--rehearse", action="store_true", help="every path, tiny, on the processor; measures and writes nothing")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)  # measure in this process, until then
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)  # what the file does not have
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    every = sweeps() if options.sweep else plans()
    chosen = [planned for planned in every if options.cases in planned.key]
    if not chosen:
        parser.error(f"no case has {options.cases!r} in its name; there are {', '.join(planned.key for planned in every)}")
    if options.rehearse:
        rehearse(chosen)
        return 0
    if not torch.cuda.is_available():
        print("there is no CUDA device here; --rehearse goes through all cases without one", file=sys.stderr)
        return 2
    if options.worker is not None:
        return _worker(options, chosen)
    suite = suite_name(torch.cuda.get_device_properties(0).name, options.sweep)
    code = gpu_process.measure(options, suite, time.time() + options.seconds)
    if options.out == common.RESULTS and not options.sweep:
        from benchmarks import tables  # librosa is needed for that, and for nothing here

        tables.write_pages()
    return code


if __name__ == "__main__":
    sys.exit(main())
