"""`python -m benchmarks.quality`: closeness to the recording, against librosa and torchaudio.

Three sections. `comparison`: our defaults, the cascades and the peer libraries, on every recording
and in every convention, from clean, blurred and noisy mels. `all_methods`: every phase method with
every initial phase, every filterbank inverse and all joint forms, on six recordings.
`true_magnitude`: every phase method with the true magnitude of speech.

Two processes of one thread each share the clips. Seconds are processor time of one call, while the
other process computes, too. Until all is measured, `results/quality.partial.json` has what is done.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks import mels, quality_figure, records, rows, tables, targets
from benchmarks.quality_worker import (
    Task,
    checks,
    measure,
    rows_of,
    rows_of_section,
    start_worker,
)
from benchmarks.recordings import AUDIO, clips
from benchmarks.records import Record
from benchmarks.scores import METRICS

WORKERS = 2
METHODS_CONVENTION = "hifigan_22k"
METHODS_SPEECH, METHODS_MUSIC = 4, 2


def tasks(speech: Sequence[Path], music: Sequence[Path], methods: Sequence[str] = ()) -> list[Task]:
    """Return all that is measured, or that of some methods, the costliest first."""
    some_speech = mels.evenly_spaced(speech, METHODS_SPEECH)
    some_music = mels.evenly_spaced(music, METHODS_MUSIC)
    first, *others = rows.TRUE_CONVENTIONS
    result = [Task("comparison", name, p) for name in mels.CONVENTIONS for p in (*speech, *music)]
    result += [Task("all_methods", METHODS_CONVENTION, p) for p in (*some_speech, *some_music)]
    result += [Task("true_magnitude", first, path) for path in speech]
    result += [Task("true_magnitude", name, path) for name in others for path in some_speech]
    result = [task._replace(methods=frozenset(methods)) for task in result]
    return sorted(filter(rows_of, result), key=lambda task: -task.cost)


def run(todo: Sequence[Task], record: Record) -> None:
    """Fill the record; write the partial file after each clip."""
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), start_worker) as pool:
        try:
            _run_checks(pool, todo, record)
            _run_measurements(pool, todo, record)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _run_checks(pool: ProcessPoolExecutor, todo: Sequence[Task], record: Record) -> None:
    """Check every convention on one clip of speech."""
    speech = [task for task in todo if task.is_speech]
    by_convention = {
        task.convention: task
        for task in sorted(speech, key=lambda task: task.path)
        if task.section == "comparison"
    }
    checked = list(by_convention.values())
    checked += [task for task in speech if task.section == "all_methods"][:1]
    for task, (entries, absent) in zip(checked, pool.map(checks, checked), strict=True):
        passed = {entry["what"]: entry for entry in record["checks"].get(task.convention, [])}
        passed |= {entry["what"]: entry for entry in entries}
        record["checks"][task.convention] = list(passed.values())
        record["absent"].setdefault(task.convention, {}).update(absent)


def _run_measurements(pool: ProcessPoolExecutor, todo: Sequence[Task], record: Record) -> None:
    absent = {name: tuple(reasons) for name, reasons in record["absent"].items()}
    running: dict[Any, Task] = {
        pool.submit(measure, task, absent[task.convention]): task for task in todo
    }
    with tqdm(total=round(sum(task.cost for task in todo)), unit="s of work") as progress:
        for future in as_completed(running):
            task = running[future]
            section = record[task.section]
            if task.section != "all_methods":
                section = section[task.convention]
            section.setdefault(task.path.stem, {}).update(future.result())
            records.save("quality.partial", record)
            progress.update(min(round(task.cost), progress.total - progress.n))


def _sort(record: Record) -> Record:
    """Sort clips by name and rows as in `benchmarks.rows`, in whatever order they were measured."""
    sections = [("all_methods", METHODS_CONVENTION, record["all_methods"])]
    for kind in ("comparison", "true_magnitude"):
        sections += [(kind, name, section) for name, section in record[kind].items()]
    for kind, convention, section in sections:
        keys = [row.key for row in rows_of_section(kind, convention)]
        for name in sorted(section):
            clip = section.pop(name)
            section[name] = {key: clip[key] for key in keys if key in clip}
    return record


def _earlier_record() -> Record:
    """Return the record of an earlier run on the same machine, to measure some rows again."""
    record, now = records.load("quality"), records.environment()
    if record["versions"] != now["versions"] or record["machine"]["cpu"] != now["machine"]["cpu"]:
        raise SystemExit("the file is from another machine or other versions; measure everything")
    for section in (record["all_methods"], *record["comparison"].values()):
        for clip in section.values():
            for scores in clip.values():  # of before there were so many metrics
                scores += [None] * (len(METRICS) - len(scores))
    return {**record, **now, "metrics": list(METRICS)}


def _empty_record() -> Record:
    return {
        "suite": "quality",
        **records.environment(),
        "clip_seconds": mels.SECONDS,
        "workers": WORKERS,
        "metrics": list(METRICS),
        "checks": {},
        "absent": {},
        "comparison": {name: {} for name in mels.CONVENTIONS},
        "all_methods": {},
        "true_magnitude": {name: {} for name in rows.TRUE_CONVENTIONS},
    }


def _announce(todo: Sequence[Task]) -> None:
    waveforms = sum(len(rows_of(task)) for task in todo)
    evaluations = sum(task.evaluations for task in todo)
    minutes = math.ceil(sum(task.cost for task in todo) / WORKERS / 60)
    print(
        f"{waveforms} waveforms, {evaluations} with PESQ and ESTOI: about {minutes} minutes",
        file=sys.stderr,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write `results/quality.json` and the tables, and print the targets.

    Returns 2 if there are no recordings.
    """
    summary = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=summary)
    parser.add_argument(
        "--clips", type=int, help="largest number of speech and of music clips, for a trial run"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=(),
        metavar="METHOD",
        help="measure the rows of these methods; all others stay as they are in the file",
    )
    arguments = parser.parse_args(argv)
    most = arguments.clips
    speech, music = clips(["speech"]), clips(["music", "percussion"])
    if not speech:
        print(
            f"no speech_* files in {AUDIO}; set TORCHMELINV_SHARED to the folder that has audio/",
            file=sys.stderr,
        )
        return 2
    if most is not None:
        speech, music = mels.evenly_spaced(speech, most), mels.evenly_spaced(music, most)
    todo = tasks(speech, music, arguments.methods)
    _announce(todo)
    # for the workers, which start later
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    torch.set_num_threads(1)
    record = _earlier_record() if arguments.methods else _empty_record()
    start = time.perf_counter()
    run(todo, record)
    minutes = record.get("minutes", 0) + (time.perf_counter() - start) / 60
    record["minutes"] = round(minutes, 1)
    record["targets"] = targets.evaluate(_sort(record))
    records.save("quality", record)
    (records.RESULTS / "quality.partial.json").unlink()
    quality_figure.main()
    tables.write_pages()
    for target in record["targets"]:
        verdict = "reached    " if target["reached"] else "NOT REACHED"
        print(f"{verdict} {target['what']}: {target['value']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
