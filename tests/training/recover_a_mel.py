"""`python -m tests.training.recover_a_mel`: find a mel by gradient descent through the inversion.

The descent does not see the true mel. Its loss compares waveforms, through mels with windows of 3/4
and 5/4 of the convention's length. Losses of single STFT bins do not work here: the phase is free,
so the waveform of the true mel itself is far from the recording (a multi-resolution STFT loss ends
with a third to a half of the error).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import torchmelinv as tmi
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.demo import signal

CONVENTION = MelConvention(
    sample_rate=8000, n_fft=128, hop_length=32, n_mels=16, level=Compression(log="ln", floor=1e-5)
)


class Recovery(NamedTuple):
    """A recovered log-mel, and its distance to the true one in nepers."""

    mel: Tensor  # (n_mels, n_frames)
    errors: list[float]  # mean |ln m̂ − ln m|, before the first step and after each
    loss: float  # after the last step
    loss_of_truth: float  # of the true mel; the descent may end below it


def recover(
    waveform: Tensor,
    convention: MelConvention = CONVENTION,
    steps: int = 100,
    gradient: str | int = "phase_detached",
) -> Recovery:
    """Find the log-mel whose inversion sounds like a waveform (n_samples,), from a constant mel.

    `phase_detached` suits a descent of many steps: its gradient passes through the last update
    toward the mel alone, the mel's main effect. The exact gradient (`unrolled`) also follows the
    effect on the phase, and is less stable. `transpose` is the cheapest first magnitude; the
    iteration keeps the mel, not that magnitude.
    """
    true_mel = tmi.MelSpectrogram(convention)(waveform)
    inverter = tmi.MelInverter(convention, magnitude="transpose", n_iter=8, gradient=gradient)
    sizes = [quarters * convention.n_fft // 4 for quarters in (3, 5)]
    losses = [
        tmi.losses.MelLoss(convention.replace(n_fft=n_fft, win_length=n_fft)) for n_fft in sizes
    ]

    def loss_of(mel: Tensor) -> Tensor:
        result = inverter(mel, length=len(waveform))
        return torch.stack([loss(result, waveform) for loss in losses]).mean()

    def error_of(mel: Tensor) -> float:
        return float((mel.detach() - true_mel).abs().mean())

    mel = torch.full_like(true_mel, float(true_mel.mean())).requires_grad_()
    optimizer = torch.optim.Adam([mel], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    errors = [error_of(mel)]
    for _ in range(steps):
        loss = loss_of(mel)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        errors.append(error_of(mel))
    with torch.no_grad():
        return Recovery(mel.detach(), errors, float(loss_of(mel)), float(loss_of(true_mel)))


if __name__ == "__main__":
    errors = recover(signal(sample_rate=CONVENTION.sample_rate)).errors
    print(f"log-mel error: {errors[0]:.2f} nepers at the start, {errors[-1]:.3f} at the end")
