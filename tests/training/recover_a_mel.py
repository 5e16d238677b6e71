"""`python -m tests.training.recover_a_mel`: a mel found by gradient descent through the inversion, from how the waveform sounds.

Nothing sees the true mel. The loss compares waveforms, through mels of other frames than the convention's: windows of 3/4
and 5/4 of its length. Spectra bin by bin are no good here: the phase is free, so that the waveform of the true
mel itself lies far from the recording (a multi-resolution STFT loss ends with a third to a half of the error).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import torchmelinv as tmi
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.demo import signal

CONVENTION = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16, level=Level(log="ln", floor=1e-5))


class Recovery(NamedTuple):
    """A mel in logarithms, and how far it was from the true one, in nepers."""

    mel: Tensor  # (n_mels, n_frames)
    errors: list[float]  # mean |ln m̂ − ln m|, before the first step and after each
    loss: float  # the last
    loss_of_truth: float  # what the true mel gets: the descent may end below it


def recover(
    waveform: Tensor, convention: MelConvention = CONVENTION, steps: int = 100, gradient: str | int = "phase_detached"
) -> Recovery:
    """The log-mel whose inversion sounds like `waveform` (n_samples,), from one constant for all bands and frames.

    `phase_detached` suits descent over many steps: it leads through the last pull towards the mel alone, which is how the mel
    acts, while the exact gradient (`unrolled`) also follows how it moves the phase, and wanders. `transpose` is the cheapest
    first magnitude, and the iteration keeps the mel, not that.
    """
    true = tmi.MelAnalyzer(convention)(waveform)
    inverter = tmi.MelInverter(convention, magnitude="transpose", n_iter=8, gradient=gradient)
    others = [quarters * convention.n_fft // 4 for quarters in (3, 5)]
    losses = [tmi.losses.MelLoss(convention.replace(n_fft=n_fft, win_length=n_fft)) for n_fft in others]

    def loss_of(mel: Tensor) -> Tensor:
        found = inverter(mel, length=len(waveform))
        return torch.stack([loss(found, waveform) for loss in losses]).mean()

    mel = torch.full_like(true, float(true.mean())).requires_grad_()
    optimizer = torch.optim.Adam([mel], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    errors = [float((mel.detach() - true).abs().mean())]
    for _ in range(steps):
        loss = loss_of(mel)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        errors.append(float((mel.detach() - true).abs().mean()))
    with torch.no_grad():
        return Recovery(mel.detach(), errors, float(loss_of(mel)), float(loss_of(true)))


if __name__ == "__main__":
    found = recover(signal(sample_rate=CONVENTION.sample_rate))
    print(f"log-mel error: {found.errors[0]:.2f} nepers at the start, {found.errors[-1]:.3f} in the end")
