"""An unrolled gradient saves one signal per iteration and no spectra."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchaudio
from torch import Tensor

from benchmarks.measurement import saved_bytes
from tests.problems import TINY, stft_convention, tones
from tests.solve import solve, solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.phases import ADMM, AcceleratedGriffinLim, FastGriffinLim, MelConsistent
from torchmelinv.transforms.stft import STFT

CONVENTION = stft_convention(n_fft=256, hop_length=64)
N_ITER = 32
SIGNAL_BYTES = tones(6400).nbytes


def magnitude_of(n_samples: int = 6400) -> Tensor:
    return STFT(CONVENTION)(tones(n_samples)).abs()


def torchaudio_griffin_lim(magnitude: Tensor) -> Tensor:
    window = torch.hann_window(256, device=magnitude.device)
    # From zero phases, as ours: a cached table of random phases is made for a thousand frames, and
    # would exceed all else that so short a signal saves.
    return torchaudio.functional.griffinlim(
        magnitude, window, 256, 64, 256, 1.0, N_ITER, 0.99, None, False
    )


@pytest.mark.parametrize("method", [FastGriffinLim(), AcceleratedGriffinLim()])
def test_it_saves_an_eighth_of_torchaudios_bytes(method):
    magnitude = magnitude_of().requires_grad_()
    theirs = saved_bytes(lambda: torchaudio_griffin_lim(magnitude))
    ours = saved_bytes(lambda: solve(method, magnitude, CONVENTION, N_ITER, init="zero").waveform)
    assert ours <= theirs / 8


def fast_griffin_lim(n_iter: int) -> Tensor:
    magnitude = STFT(TINY)(tones(6400)).abs().requires_grad_()
    return solve(FastGriffinLim(), magnitude, TINY, n_iter).waveform


def mel_consistent(n_iter: int) -> Tensor:
    mel = MelSpectrogram(TINY).linear_mel(tones(6400)).requires_grad_()
    return solve_mel(MelConsistent(), mel, TINY, n_iter).waveform


@pytest.mark.parametrize("inversion", [fast_griffin_lim, mel_consistent])
def test_each_iteration_saves_one_signal(inversion):
    more = saved_bytes(lambda: inversion(24)) - saved_bytes(lambda: inversion(8))
    assert more <= 16 * 1.1 * SIGNAL_BYTES


@pytest.mark.parametrize(
    ("method", "signals"),
    [(FastGriffinLim(), 2), (AcceleratedGriffinLim(), 3), (ADMM(), 2 * 4.1)],
    ids=["fast_griffin_lim", "accelerated_griffin_lim", "admm"],
)
def test_checkpoints_save_the_states_of_sqrt_n_iter_iterations(method, signals):
    """`signals` is the size of a state; at 75 % overlap a spectrum is as large as four signals."""
    magnitude = magnitude_of().requires_grad_()

    def saved(n_iter: int, gradient: str) -> int:
        options = {"init": "zero", "gradient": gradient}
        return saved_bytes(lambda: solve(method, magnitude, CONVENTION, n_iter, **options).waveform)

    more = saved(36, "checkpointed") - saved(0, "checkpointed")
    assert more <= 6 * signals * 1.1 * SIGNAL_BYTES
    assert more < 0.7 * (saved(36, "unrolled") - saved(0, "unrolled"))


@pytest.mark.gpu
def test_it_keeps_an_eighth_of_torchaudios_bytes_on_a_cuda_device():
    """Between forward and backward.

    At the peak, the spectra of the running iteration are added to ours; longer loops add no more.
    """
    magnitude = magnitude_of(64000).cuda()

    def kept_and_peak(inversion: Callable[[Tensor], Tensor]) -> tuple[int, int]:
        inversion(magnitude).sum()  # builds the tables
        leaf = magnitude.clone().requires_grad_()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        waveform = inversion(leaf)
        kept = torch.cuda.memory_allocated() - before
        waveform.sum().backward()
        return kept, torch.cuda.max_memory_allocated() - before

    kept, peak = kept_and_peak(
        lambda leaf: solve(FastGriffinLim(), leaf, CONVENTION, N_ITER, init="zero").waveform
    )
    their_kept, their_peak = kept_and_peak(torchaudio_griffin_lim)
    assert kept <= their_kept / 8
    assert peak <= their_peak / 5
