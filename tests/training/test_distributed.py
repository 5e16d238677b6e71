"""A step of two processes on halves of a batch has the gradients of one process on the batch."""

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

N_PROCESSES = 2
TIMEOUT = 120  # seconds that a process waits for another


def gradients(
    model: nn.Module, denoiser: MelDenoiser, clean: Tensor, noisy: Tensor
) -> list[Tensor]:
    """Return the gradients of one step on waveforms (items, n_samples); a mean over items."""
    mel = model(tmi.MelSpectrogram(CONVENTION)(noisy))
    WaveformLoss(gradient="unrolled")(mel, clean).backward()
    return [parameter.grad for parameter in denoiser.parameters()]


def denoiser() -> MelDenoiser:
    torch.manual_seed(0)
    return MelDenoiser(width=4).double()


def batch() -> tuple[Tensor, Tensor]:
    """Return clean and noisy waveforms (items, n_samples), with as many items for each process."""
    clean = tones(800, (2 * N_PROCESSES,), torch.float64)
    return clean, with_noise(clean)


def work(rank: int, folder: str) -> None:
    """Compute a process's part of the batch; DistributedDataParallel averages the gradients."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=N_PROCESSES,
        timeout=timedelta(seconds=TIMEOUT),
    )
    model = denoiser()
    # Equal parts: the means of the processes are averaged without weights.
    clean, noisy = (waveforms.chunk(N_PROCESSES)[rank] for waveforms in batch())
    result = gradients(DistributedDataParallel(model), model, clean, noisy)
    torch.save(result, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_have_the_gradients_of_a_single_one(tmp_path: Path):
    processes = spawn(work, (str(tmp_path),), nprocs=N_PROCESSES, join=False)
    try:
        # `join` raises what a process raised; it returns when at least one has ended
        while not processes.join(timeout=TIMEOUT):
            running = [process.is_alive() for process in processes.processes]
            assert not all(running), "the processes hang"
    finally:
        for process in processes.processes:
            process.kill()
    model = denoiser()
    expected = gradients(model, model, *batch())
    assert all(gradient.abs().max() > 0 for gradient in expected)
    for rank in range(N_PROCESSES):
        result = torch.load(tmp_path / f"{rank}.pt")
        for ours, reference in zip(result, expected, strict=True):
            # The order of sums differs, nothing else.
            atol = 1e-10 * float(reference.abs().max())
            torch.testing.assert_close(ours, reference, rtol=0, atol=atol)
