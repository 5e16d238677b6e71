"""The worker processes of `benchmarks.quality`: check methods, and score them clip by clip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import mels, peers, rows
from benchmarks.records import CheckFailed, Record, check
from benchmarks.rows import Row
from benchmarks.scores import Scores, convergence, scores
from torchmelinv.metrics import mel_error_db

SECONDS_OF_A_SCORE = 0.3  # PESQ, ESTOI and the resampling for them, for 5 s of sound


class Task(NamedTuple):
    """All rows of a section for one clip."""

    section: str  # comparison, all_methods, true_magnitude
    convention: str
    path: Path
    methods: frozenset[str] = frozenset()  # the only ones, if there are any

    @property
    def is_speech(self) -> bool:
        return self.path.name.startswith("speech_")

    @property
    def evaluations(self) -> int:
        """The number of waveforms that PESQ and ESTOI are computed for."""
        return len(rows_of(self)) if self.is_speech and self.section != "true_magnitude" else 0

    @property
    def cost(self) -> float:
        """Seconds of one thread, roughly."""
        return sum(row.cost for row in rows_of(self)) + SECONDS_OF_A_SCORE * self.evaluations


def rows_of(task: Task) -> list[Row]:
    """Return the rows of the task's section."""
    found = rows_of_section(task.section, task.convention)
    return [row for row in found if not task.methods or row.method in task.methods]


def rows_of_section(section: str, convention: str) -> list[Row]:
    """Return all rows of a section."""
    if section == "comparison":
        return rows.comparison(convention)
    return rows.all_methods() if section == "all_methods" else rows.true_magnitude()


def start_worker() -> None:
    """Use one thread and no gradients."""
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()


def _invert(row: Row, name: str, clip: Tensor, clip_name: str) -> tuple[Tensor, float]:
    """Return a row's waveform and its processor seconds, without those of its tables."""
    convention = mels.CONVENTIONS[name]
    mel = mels.degrade(mels.mel_spectrogram(name)(clip), row.mel, convention, clip_name)
    method = rows.method(row, name)
    start = time.process_time()
    waveform = method(mel, clip)
    seconds = time.process_time() - start
    if waveform.shape != clip.shape:
        lengths = f"{len(waveform)} samples instead of {len(clip)}"
        raise CheckFailed(f"{row.key} returned {lengths} for {clip_name}")
    return waveform, seconds


def measure(task: Task, absent: Sequence[str]) -> dict[str, Scores | float]:
    """Return the scores of every row, except for the methods in `absent`.

    Rows with the true magnitude have spectral convergence only.
    """
    analysis = mels.mel_spectrogram(task.convention)
    clip, name = mels.recording(task.path, analysis.convention), task.path.stem
    todo = [row for row in rows_of(task) if row.method not in absent]
    _invert(todo[0], task.convention, clip, name)  # builds the tables before anything is timed
    result: dict[str, Scores | float] = {}
    for row in todo:
        waveform, seconds = _invert(row, task.convention, clip, name)
        if task.section == "true_magnitude":
            result[row.key] = round(convergence(waveform, clip, analysis), 4)
        else:
            result[row.key] = scores(waveform, clip, analysis, seconds, is_speech=task.is_speech)
    return result


def checks(task: Task) -> tuple[list[Record], dict[str, str]]:
    """Check the filterbank against librosa's, and that no method shifts the recording in time.

    Also returns the peers that cannot invert these mels, with the reason.
    """
    analysis = mels.mel_spectrogram(task.convention)
    matrix = peers.librosa_filterbank(analysis.convention)
    entries, absent = [peers.filterbank_check(analysis.filterbank, matrix)], {}
    clip = mels.recording(task.path, analysis.convention)
    reference, shift = analysis.linear_mel(clip), analysis.convention.hop_length // 4
    for row in _row_of_each_method(rows_of(task)):
        try:
            rows.method(row, task.convention)
        except (RuntimeError, ValueError) as error:
            if row.method not in peers.PEERS:
                raise
            absent[row.method] = str(error)
            continue
        waveform, _ = _invert(row, task.convention, clip, task.path.stem)
        errors = [
            float(mel_error_db(analysis.linear_mel(waveform.roll(offset)), reference))
            for offset in (0, -shift, shift)
        ]
        what = f"mel error of {row.key} minus that after a shift by a quarter hop, dB"
        entries.append(check(what, errors[0] - min(errors[1:]), at_most=0))
    return entries, absent


def _row_of_each_method(candidates: Sequence[Row]) -> list[Row]:
    """Return each method's row with about 32 iterations."""
    names = dict.fromkeys(row.method for row in candidates)
    return [
        min((row for row in candidates if row.method == name), key=lambda row: abs(row.n_iter - 32))
        for name in names
    ]
