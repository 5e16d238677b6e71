"""`python -m benchmarks.quality`: how close to the recording, beside librosa and torchaudio, clip by clip.

Three sections. `finalists`: what is recommended, the cascade and the peers, on every recording and in every convention, from
clean, blurred and noisy mels. `field`: every phase from every start, every magnitude and the variants of joint inversion, on
six recordings. `truth`: every phase at the true magnitude of speech. PESQ-WB (ITU-T P.862.2) and ESTOI are of speech alone.

Two processes of one thread each share the clips. Seconds are the wall time of one call on that thread, while the other process
computes, too. What has been measured stands in `results/quality.partial.json` until the whole is there.
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
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import common, mels, peers, rows, tables, targets
from benchmarks.common import Record, check
from benchmarks.rows import Row
from benchmarks.scores import METRICS, Scores, convergence, scores
from torchmelinv import functional

WORKERS = 2
SECONDS_OF_A_SCORE = 0.3  # PESQ, ESTOI and what resamples for them, for 5 s of sound
FIELD_CONVENTION = "hifigan_22k"
FIELD_SPEECH, FIELD_MUSIC = 4, 2


class Task(NamedTuple):
    """One clip through the rows of a section."""

    section: str  # finalists, field, truth
    convention: str
    path: Path

    @property
    def is_speech(self) -> bool:
        return self.path.name.startswith("speech_")

    @property
    def evaluations(self) -> int:
        """Waveforms that PESQ and ESTOI are taken of."""
        return len(rows_of(self)) if self.is_speech and self.section != "truth" else 0

    @property
    def cost(self) -> float:
        """Seconds of one thread, roughly."""
        return sum(row.cost for row in rows_of(self)) + SECONDS_OF_A_SCORE * self.evaluations


def rows_of(task: Task) -> list[Row]:
    """The rows of the task's section."""
    return {"finalists": lambda: rows.finalists(task.convention), "field": rows.field, "truth": rows.truth}[task.section]()


def tasks(speech: Sequence[Path], music: Sequence[Path]) -> list[Task]:
    """All that is measured, the costliest first."""
    six = [*mels.spread(speech, FIELD_SPEECH), *mels.spread(music, FIELD_MUSIC)]
    todo = [Task("finalists", convention, path) for convention in mels.CONVENTIONS for path in (*speech, *music)]
    todo += [Task("field", FIELD_CONVENTION, path) for path in six]
    todo += [Task("truth", rows.TRUE_CONVENTIONS[0], path) for path in speech]
    todo += [Task("truth", name, path) for name in rows.TRUE_CONVENTIONS[1:] for path in six if path in speech]
    return sorted(todo, key=lambda task: -task.cost)


# In a worker


def start_worker() -> None:
    """One thread, and no gradients."""
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()


def _heard(row: Row, name: str, clip: Tensor, clip_name: str) -> tuple[Tensor, float]:
    """A row's waveform and the processor seconds that it took (others do not lengthen them), its tables made before."""
    convention = mels.CONVENTIONS[name]
    mel = mels.degraded(mels.analyzer(name)(clip), row.mel, convention, clip_name)
    method = rows.method(row, name)
    start = time.process_time()
    waveform = method(mel, clip)
    seconds = time.process_time() - start
    if waveform.shape != clip.shape:
        raise common.CheckFailed(f"{row.key} gave {len(waveform)} samples for {len(clip)} of {clip_name}")
    return waveform, seconds


def measure(task: Task, absent: Sequence[str]) -> dict[str, Scores | float]:
    """The scores of every row but those of methods that are absent; of the true magnitude, spectral convergence alone."""
    analyzer = mels.analyzer(task.convention)
    clip = mels.recording(task.path, analyzer.convention)
    found: dict[str, Scores | float] = {}
    todo = [row for row in rows_of(task) if row.method not in absent]
    _heard(todo[0], task.convention, clip, task.path.stem)  # what is made once is not the first row's time
    for row in todo:
        waveform, seconds = _heard(row, task.convention, clip, task.path.stem)
        if task.section == "truth":
            found[row.key] = round(convergence(waveform, clip, analyzer), 4)
        else:
            found[row.key] = scores(waveform, clip, analyzer, seconds, is_speech=task.is_speech)
    return found


def checks(task: Task) -> tuple[list[Record], dict[str, str]]:
    """Before anything is compared: the filterbank is the peers', and every method's waveform lies where the recording does.

    Also which peers cannot, and why.
    """
    analyzer = mels.analyzer(task.convention)
    convention = analyzer.convention
    done, absent = [peers.filterbank_check(analyzer.filterbank, peers.librosa_filterbank(convention))], {}
    clip = mels.recording(task.path, convention)
    reference, shift = analyzer.linear(clip), convention.hop_length // 4
    for name in dict.fromkeys(row.method for row in rows_of(task)):
        row = min((row for row in rows_of(task) if row.method == name), key=lambda row: abs(row.n_iter - 32))
        try:
            rows.method(row, task.convention)
        except (RuntimeError, ValueError) as error:
            if name not in rows.PEERS:
                raise
            absent[name] = str(error)
            continue
        waveform, _ = _heard(row, task.convention, clip, task.path.stem)
        shifted = [analyzer.linear(waveform.roll(offset)) for offset in (0, -shift, shift)]
        there, *moved = (float(functional.mel_error_db(mel, reference)) for mel in shifted)
        what = f"mel error of {row.key} where it lies, above that a quarter hop away, dB"
        done.append(check(what, there - min(moved), at_most=0))
    return done, absent


# In the first process


def run(todo: Sequence[Task], record: Record) -> None:
    """Fill the record, and write what there is of it after each clip."""
    first = {task.convention: task for task in sorted(todo, key=str) if task.section == "finalists" and task.is_speech}
    looks = [*first.values(), *[task for task in todo if task.section == "field" and task.is_speech][:1]]
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), start_worker) as pool:
        try:
            for task, (done, why) in zip(looks, pool.map(checks, looks), strict=True):
                record["checks"].setdefault(task.convention, []).extend(done)
                record["absent"].setdefault(task.convention, {}).update(why)
            absent = {name: tuple(reasons) for name, reasons in record["absent"].items()}
            running: dict[Any, Task] = {pool.submit(measure, task, absent[task.convention]): task for task in todo}
            with tqdm(total=round(sum(task.cost for task in todo)), unit="s of work") as progress:
                for future in as_completed(running):
                    task = running[future]
                    section = record[task.section] if task.section == "field" else record[task.section][task.convention]
                    section[task.path.stem] = future.result()
                    common.save("quality.partial", record)
                    progress.update(min(round(task.cost), progress.total - progress.n))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _sorted(record: Record) -> Record:
    """Clips by their names, however the workers finished."""
    for section in (record["field"], *record["finalists"].values(), *record["truth"].values()):
        section.update({name: section.pop(name) for name in sorted(section)})
    return record


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write `results/quality.json` and the tables, and say which targets are missed; 2 without recordings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--clips", type=int, help="at most so many of speech and of music, to try the run out")
    most = parser.parse_args(argv).clips
    speech, music = common.clips(["speech"]), common.clips(["music", "percussion"])
    if not speech:
        print(f"no speech_* files in {common.AUDIO}: TORCHMELINV_SHARED names the folder that audio/ is in", file=sys.stderr)
        return 2
    if most is not None:
        speech, music = mels.spread(speech, most), mels.spread(music, most)
    todo = tasks(speech, music)
    waveforms, evaluations = sum(len(rows_of(task)) for task in todo), sum(task.evaluations for task in todo)
    minutes = math.ceil(sum(task.cost for task in todo) / WORKERS / 60)
    print(f"{waveforms} waveforms, {evaluations} of them through PESQ and ESTOI: about {minutes} minutes", file=sys.stderr)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # for the workers, which start later
    torch.set_num_threads(1)
    record: Record = {
        "suite": "quality",
        **common.surroundings(),
        "clip_seconds": mels.SECONDS,
        "workers": WORKERS,
        "metrics": list(METRICS),
        "checks": {},
        "absent": {},
        "finalists": {name: {} for name in mels.CONVENTIONS},
        "field": {},
        "truth": {name: {} for name in rows.TRUE_CONVENTIONS},
    }
    start = time.perf_counter()
    run(todo, record)
    record["minutes"] = round((time.perf_counter() - start) / 60, 1)
    record["targets"] = targets.verdict(_sorted(record))
    common.save("quality", record)
    (common.RESULTS / "quality.partial.json").unlink()
    tables.write_pages()
    for target in record["targets"]:
        print(f"{'reached' if target['reached'] else 'MISSED '} {target['what']}: {target['value']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
