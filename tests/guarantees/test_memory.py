"""What an unrolled gradient remembers: a signal for each iteration and no spectra."""

from __future__ import annotations

import pytest
import torch
import torchaudio

from benchmarks.common import remembered
from tests.problems import TINY, frame_convention, tones
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
