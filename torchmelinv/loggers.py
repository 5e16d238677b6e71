"""Sounds and mel images for experiment loggers, none of which is imported.

A logger is known by its methods: ``add_audio`` (TensorBoard's SummaryWriter), ``log`` of a package
that has ``Audio`` (Weights & Biases and packages with its interface), or ``log_artifact`` (MLflow's
client, or the module). Lightning's loggers hold these as ``experiment``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchmelinv.io.audio import write_audio

_GAP = 2  # rows between a mel and its reference

# (waveforms (1, n_samples) by name, images (rows, columns) by name, step, sample_rate)
Write = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], int, float], None]


def writer_for(logger: Any) -> Write | None:
    """Return a function that writes to a logger; None if the logger takes no audio."""
    experiment = getattr(logger, "experiment", logger)
    if hasattr(experiment, "add_audio"):
        return lambda *entry: _to_tensorboard(experiment, *entry)
    package = _package_of(experiment)
    if hasattr(experiment, "log") and hasattr(package, "Audio"):
        in_lightning = experiment is not logger
        return lambda *entry: _to_wandb(experiment, package, in_lightning, *entry)
    if hasattr(experiment, "log_artifact"):  # runs of Weights & Biases have one too
        run = (logger.run_id,) if hasattr(logger, "run_id") else ()
        return lambda *entry: _to_mlflow(experiment, run, *entry)
    return None


def _package_of(experiment: Any) -> Any:
    """Return the package that an object comes from, or a package as it is."""
    if hasattr(experiment, "Audio"):
        return experiment
    return sys.modules.get(type(experiment).__module__.partition(".")[0])


def _to_tensorboard(
    writer: Any,
    waveforms: Mapping[str, Tensor],
    images: Mapping[str, Tensor],
    step: int,
    sample_rate: float,
) -> None:
    for name, waveform in waveforms.items():
        writer.add_audio(name, waveform, global_step=step, sample_rate=sample_rate)
    for name, image in images.items():
        if hasattr(writer, "add_image"):
            writer.add_image(name, image[None], global_step=step)


def _to_wandb(
    run: Any,
    package: Any,
    in_lightning: bool,
    waveforms: Mapping[str, Tensor],
    images: Mapping[str, Tensor],
    step: int,
    sample_rate: float,
) -> None:
    values = {
        **{
            name: package.Audio(waveform[0].numpy(), sample_rate=sample_rate)
            for name, waveform in waveforms.items()
        },
        **{name: package.Image(image.numpy()) for name, image in images.items()},
    }
    if in_lightning:
        # Lightning counts with a metric of its own; the steps of the run are others.
        run.log({**values, "trainer/global_step": step})
    else:
        run.log(values, step=step)


def _to_mlflow(
    client: Any,
    run: tuple[str, ...],
    waveforms: Mapping[str, Tensor],
    images: Mapping[str, Tensor],
    step: int,
    sample_rate: float,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, waveform in waveforms.items():
            path = Path(folder, f"step-{step:08d}.wav")
            write_audio(path, waveform, sample_rate)
            client.log_artifact(*run, str(path), artifact_path=name)
    for name, image in images.items():
        file = f"{name}/step-{step:08d}.png"
        client.log_image(*run, image.numpy(), artifact_file=file)


def mel_image(mel: Tensor, reference: Tensor | None) -> Tensor:
    """Return a mel above its reference as gray levels (rows, columns), uint8, low bands below.

    Both have the same shape and share the scale of the reference, from its smallest value to its
    largest.
    """
    mels = [each.float().cpu() for each in (mel, reference) if each is not None]
    finite = mels[-1][mels[-1].isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
    rows = []
    for each in mels:
        gray = (each.flip(-2) - low) / max(high - low, 1e-9)
        rows.append((255 * gray.nan_to_num(0).clamp(0, 1)).round().to(torch.uint8))
    gap = torch.full((_GAP, mel.shape[-1]), 255, dtype=torch.uint8)
    return rows[0] if len(rows) == 1 else torch.cat([rows[0], gap, rows[1]])
