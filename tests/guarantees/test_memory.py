"""What an unrolled gradient remembers: a signal for each iteration and no spectra."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchaudio

from benchmarks.common import remembered
from tests.problems import TINY, frame_convention, tones
from torchmelinv import functional
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.frame import Frame
from torchmelinv.functional import accelerated_griffin_lim, fast_griffin_lim, mel_consistent

FRAME = frame_convention(n_fft=256, hop_length=64)
N_ITER = 32


def test_an_eighth_of_what_torchaudio_keeps():
    magnitude = Frame(FRAME).analyse(tones(6400)).abs().requires_grad_()
    window = torch.hann_window(256)
    # From zero phases: a table of random ones, made once for a thousand frames, would be most of what so short a signal keeps.
    theirs = remembered(lambda: torchaudio.functional.griffinlim(magnitude, window, 256, 64, 256, 1.0, N_ITER, 0.99, None, False))
    assert remembered(lambda: fast_griffin_lim(magnitude, FRAME, N_ITER, start="zero")) <= theirs / 8
    assert remembered(lambda: accelerated_griffin_lim(magnitude, FRAME, N_ITER, start="zero")) <= theirs / 8


@pytest.mark.parametrize("method", ["fast_griffin_lim", "mel_consistent"])
def test_an_iteration_more_costs_one_signal(method):
    mel = MelAnalyzer(TINY).linear(tones(6400)).requires_grad_()
    magnitude = Frame(TINY).analyse(tones(6400)).abs().requires_grad_()

    def run(n_iter: int) -> torch.Tensor:
        return fast_griffin_lim(magnitude, TINY, n_iter) if method == "fast_griffin_lim" else mel_consistent(mel, TINY, n_iter)

    more = remembered(lambda: run(24)) - remembered(lambda: run(8))
    assert more <= 16 * 1.1 * tones(6400).nbytes


@pytest.mark.parametrize(("method", "signals"), [("fast_griffin_lim", 2), ("accelerated_griffin_lim", 3), ("admm", 2 * 4.1)])
def test_checkpoints_keep_the_states_of_root_n_iterations(method, signals):
    """A state is so many signals; at 75 % overlap a spectrum is as large as four."""
    magnitude = Frame(FRAME).analyse(tones(6400)).abs().requires_grad_()

    def kept(n_iter: int, gradient: str) -> int:
        return remembered(lambda: getattr(functional, method)(magnitude, FRAME, n_iter, start="zero", gradient=gradient))

    more = kept(36, "checkpointed") - kept(0, "checkpointed")
    assert more <= 6 * signals * 1.1 * tones(6400).nbytes
    assert more < 0.7 * (kept(36, "unrolled") - kept(0, "unrolled"))


@pytest.mark.gpu
def test_an_eighth_stays_on_a_cuda_device():
    """Between the two passes; at the peak some spectra that are at work come to ours, which are no more for longer loops."""
    magnitude = Frame(FRAME).analyse(tones(64000)).abs().cuda()
    window = torch.hann_window(256, device="cuda")

    def bytes_of(inversion: Callable[[torch.Tensor], torch.Tensor]) -> tuple[int, int]:
        inversion(magnitude).sum()  # makes the tables
        leaf = magnitude.clone().requires_grad_()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        waveform = inversion(leaf)
        kept = torch.cuda.memory_allocated() - before
        waveform.sum().backward()
        return kept, torch.cuda.max_memory_allocated() - before

    kept, peak = bytes_of(lambda a: fast_griffin_lim(a, FRAME, N_ITER, start="zero"))
    their_kept, their_peak = bytes_of(
        lambda a: torchaudio.functional.griffinlim(a, window, 256, 64, 256, 1.0, N_ITER, 0.99, None, False)
    )
    assert kept <= their_kept / 8
    assert peak <= their_peak / 5
