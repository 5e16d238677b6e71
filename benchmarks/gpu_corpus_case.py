"""GPU cases of long jobs: many files of mels to audio files, and a stream frame by frame."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import torchmelinv as tmi
from benchmarks.gpu_case import Case, Implementation, measured_case
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MAIN, Scale
from benchmarks.gpu_mel_cases import INVERTER_KERNELS
from benchmarks.gpu_step_cases import PRESET
from benchmarks.records import CheckFailed, Record
from torchmelinv.corpus import (
    Manifest,
    Outcome,
    inversion_settings,
    invert_files,
    plan,
    split_tasks,
)
from torchmelinv.cuda.backend import backend
from torchmelinv.doctor.inputs import waveforms

FILES, SHORTEST = 2000, 0.1  # and the shortest relative to the longest, which has 10 s
WARM_UP_FILES, DIFFERENT = 64, 16
WARM_UP_FRAMES, FRAMES = 20, 200  # of a stream


def _mels(items: int, scale: Scale, clock: Clock) -> torch.Tensor:
    """Return mels (items, n_mels, n_frames) on the device."""
    items, n_frames = MAIN.shape(items, scale)
    n_samples = tmi.preset(PRESET).n_samples(n_frames)
    signal = waveforms(items, n_samples, MAIN.sample_rate, clock.device, 0)
    return tmi.MelSpectrogram(PRESET)(signal)


def _write_mels(folder: Path, n_files: int, scale: Scale, clock: Clock) -> None:
    """Write mels of different lengths."""
    mels = _mels(DIFFERENT, scale, clock).cpu().numpy()
    longest = mels.shape[-1]
    lengths = np.linspace(SHORTEST * longest, longest, n_files).round().astype(int)
    folder.mkdir()
    for index, length in enumerate(np.random.default_rng(0).permutation(lengths)):
        np.save(folder / f"{index:04d}.npy", mels[index % len(mels), :, : max(length, 4)])


def _invert(mels: Path, output: Path, inverter: tmi.MelInverter, clock: Clock) -> list[Outcome]:
    """Invert a folder as `torchmelinv invert --device cuda` does."""
    with Manifest(output, inversion_settings(inverter)) as manifest:
        _, tasks = split_tasks(plan([mels], output), inverter.convention.n_mels, manifest)
        outcomes = list(invert_files(tasks, inverter, device=clock.device, manifest=manifest))
    for outcome in outcomes:
        if outcome.error:
            raise CheckFailed(f"{Path(outcome.input).name}: {outcome.error}")
    return outcomes


def corpus(scale: Scale, clock: Clock) -> Case:
    """Measure a job of many files: reading, inversion in batches, measuring, writing."""
    n_files, few = (min(count, scale.max_items) for count in (FILES, WARM_UP_FILES))

    def measure(implementation: Implementation) -> Record:
        inverter = tmi.MelInverter(PRESET, n_iter=scale.n_iter)
        name = "cuda" if implementation.kernels else "reference"
        with tempfile.TemporaryDirectory() as folder, backend(name):
            for count, mels in ((few, "few"), (n_files, "mels")):
                _write_mels(Path(folder, mels), count, scale, clock)
            _invert(Path(folder, "few"), Path(folder, "warm_up"), inverter, clock)
            start = time.perf_counter()
            with clock.watch() as use:
                outcomes = _invert(Path(folder, "mels"), Path(folder, "out"), inverter, clock)
            seconds = time.perf_counter() - start
        audio_seconds = sum(outcome.seconds for outcome in outcomes)
        values = {
            "files": len(outcomes),
            "audio_seconds": audio_seconds,
            "seconds": seconds,
            "audio_seconds_per_second": audio_seconds / seconds,
            "mel_error_db": statistics.fmean(outcome.mel_error_db for outcome in outcomes),
        }
        return {"corpus": values | use}

    title = f"{n_files} mel files of {PRESET} to audio files, 1 to 10 s, {scale.n_iter} iterations"
    kernels = {"plain torch": (), "kernels": INVERTER_KERNELS}
    return measured_case(title, MAIN, n_files, scale.n_iter, kernels, measure)


def push(batch: int, scale: Scale, clock: Clock) -> Case:
    """Measure the latency of pushing one frame to a stream, to its samples on the host."""
    mels = _mels(batch, scale, clock)
    few = WARM_UP_FRAMES if scale.n_frames is None else 2
    hop_seconds = MAIN.hop_length / MAIN.sample_rate

    def measure(implementation: Implementation) -> Record:
        stream = tmi.StreamingInverter(PRESET, check="check" not in implementation.name)
        seconds = []
        for frame in mels[..., : few + FRAMES].split(1, -1):
            start = time.perf_counter()
            stream.push(frame).cpu()
            seconds.append(time.perf_counter() - start)
        ordered = sorted(seconds[few:])
        values = {
            "seconds": statistics.median(ordered),
            "seconds_of_95_percent": ordered[int(0.95 * (len(ordered) - 1))],
            "times_real_time": hop_seconds / statistics.median(ordered),
        }
        return {"push": values}

    title = f"one frame pushed to a stream of {PRESET}, batch {batch}"
    names = ("plain torch", "plain torch, check=False")
    return measured_case(title, MAIN, batch, 1, dict.fromkeys(names, ()), measure)
