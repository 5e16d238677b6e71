"""Training on several processes: a step on halves of a batch has the gradients of one process that sees all of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

import torchmelinv as tmi
from tests.problems import tones
from tests.training.denoiser import CONVENTION, MelDenoiser, WaveformLoss, with_noise

WORLD = 2
PATIENCE = 120  # seconds: then a process that waits for another is given up


def gradients(model: nn.Module, denoiser: MelDenoiser, clean: Tensor, noisy: Tensor) -> list[Tensor]:
    """Of one training step on these waveforms (items, n_samples); the loss is a mean over items."""
    WaveformLoss(gradient="unrolled")(model(tmi.MelAnalyzer(CONVENTION)(noisy)), clean).backward()
    return [parameter.grad for parameter in denoiser.parameters()]


def denoiser() -> MelDenoiser:
    torch.manual_seed(0)
    return MelDenoiser(width=4).double()


def batch() -> tuple[Tensor, Tensor]:
    """Clean and noisy waveforms (items, n_samples) in float64, as many items for each process."""
    clean = tones(800, (2 * WORLD,), torch.float64)
    return clean, with_noise(clean)


def work(rank: int, folder: str) -> None:
    """What each process does: its own part of the batch, gradients averaged by DistributedDataParallel."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD, timeout=timedelta(seconds=PATIENCE)
    )
    model = denoiser()
    # Equal parts: each process takes the mean over its own items, and these means are averaged without weights.
    clean, noisy = (waveforms.chunk(WORLD)[rank] for waveforms in batch())
    found = gradients(DistributedDataParallel(model), model, clean, noisy)
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_have_the_gradients_of_one(tmp_path: Path):
    processes = spawn(work, (str(tmp_path),), nprocs=WORLD, join=False)
    try:
        # `join` raises what a process raised, and returns when one of them or all have ended
        while not processes.join(timeout=PATIENCE):
            assert any(not process.is_alive() for process in processes.processes), "the processes hang"
    finally:
        for process in processes.processes:
            process.kill()
    model = denoiser()
    wanted = gradients(model, model, *batch())
    assert all(gradient.abs().max() > 0 for gradient in wanted)
    for rank in range(WORLD):
        found = torch.load(tmp_path / f"{rank}.pt")
        for ours, theirs in zip(found, wanted, strict=True):
            # sums of floats in another order, and nothing else
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10 * float(theirs.abs().max()))
