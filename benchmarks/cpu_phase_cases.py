"""CPU cases of phase methods: fast Griffin-Lim, mel_consistent, and initial phases."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import librosa
import numpy as np
import torch
import torchaudio
from torch import Tensor

import torchmelinv as tmi
from benchmarks import transcription
from benchmarks.cpu_case import N_FRAMES, N_ITER, SAMPLE_RATE, Case
from benchmarks.recordings import speech
from benchmarks.records import Record, check
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.functional import initial_phase, magnitude_to_waveform
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.metrics import spectral_convergence_db
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.phases import GriffinLim, MelConsistent, PhaseMethod

CONVENTION = STFTConvention(n_fft=1024, hop_length=256, padding="center_reflect")
MOMENTUM = 0.99


def fast_griffin_lim(batch: int) -> Case:
    """Compare fast Griffin-Lim on the same magnitudes, from different random phases."""
    waveform, source = speech(batch, CONVENTION.n_samples(N_FRAMES), SAMPLE_RATE)
    spectra = [transcription.stft(item, CONVENTION) for item in waveform.double().numpy()]
    magnitude = torch.from_numpy(np.abs(spectra)).float()
    window, array = torch.hann_window(CONVENTION.n_fft), magnitude.numpy()

    def by_torchaudio(rand_init: bool = True) -> Tensor:
        sizes = (CONVENTION.n_fft, CONVENTION.hop_length, CONVENTION.win_length)
        return torchaudio.functional.griffinlim(
            magnitude, window, *sizes, 1.0, N_ITER, MOMENTUM, None, rand_init
        )

    def by_librosa(init: str | None = "random") -> Tensor:
        waveforms = librosa.griffinlim(
            array,
            n_iter=N_ITER,
            hop_length=CONVENTION.hop_length,
            momentum=MOMENTUM,
            pad_mode="reflect",
            init=init,
            random_state=0,
        )
        return torch.from_numpy(waveforms)

    def ours(init: str = "random") -> Tensor:
        return magnitude_to_waveform(magnitude, CONVENTION, GriffinLim(MOMENTUM), N_ITER, init=init)

    def convergence(results: dict[str, Tensor]) -> dict[str, float]:
        return {name: _mean_convergence_db(each, magnitude) for name, each in results.items()}

    # From zero phase the three are the same recursion. From random phases each clip ends several dB
    # apart: those values are only noted.
    torch.manual_seed(0)
    zero = {"torchmelinv": ours("zero"), "torchaudio": by_torchaudio(False)}
    from_zero = convergence({**zero, "librosa": by_librosa(None)})
    random = {"torchmelinv": ours(), "torchaudio": by_torchaudio(), "librosa": by_librosa()}
    notes = {
        "spectral_convergence_db": {
            "from zero phase": from_zero,
            "from random phases": convergence(random),
        },
        "signal": source,
    }
    checks = [_transcription_check(magnitude[0])]
    for peer in ("torchaudio", "librosa"):
        what = f"spectral convergence minus {peer}'s, {N_ITER} iterations from zero phase, dB"
        checks.append(check(what, from_zero["torchmelinv"] - from_zero[peer], at_most=0.5))
    sizes = f"{CONVENTION.n_fft}/{CONVENTION.hop_length}"
    return Case(
        f"fast Griffin-Lim, {N_ITER} iterations, {sizes}, 10 s, batch {batch}",
        "torchmelinv",
        {"torchmelinv": ours, "torchaudio": by_torchaudio, "librosa": by_librosa},
        {"torchaudio": 3.0, "librosa": 2.5},
        checks,
        notes,
    )


def _mean_convergence_db(waveforms: Tensor, magnitudes: Tensor) -> float:
    """Return the mean of 20 log10(‖|STFT(x)| − A‖ / ‖A‖), with the transcription's STFT."""
    values = []
    pairs = zip(waveforms.double().numpy(), magnitudes.double().numpy(), strict=True)
    for waveform, magnitude in pairs:
        error = np.abs(transcription.stft(waveform, CONVENTION)) - magnitude
        values.append(20 * np.log10(np.linalg.norm(error) / np.linalg.norm(magnitude)))
    return float(np.mean(values))


def _transcription_check(magnitude: Tensor) -> Record:
    """Compare 4 iterations with those of the transcription."""
    angles = 2 * np.pi * np.random.default_rng(0).random(magnitude.shape)
    expected = transcription.fast_griffin_lim(
        magnitude.double().numpy(), angles, CONVENTION, 4, MOMENTUM
    )
    init = torch.from_numpy(angles)
    result = magnitude_to_waveform(magnitude, CONVENTION, GriffinLim(MOMENTUM), 4, init=init)
    what = "error against a float64 transcription, 4 iterations, relative to the peak"
    return check(what, _peak_error(result, expected), at_most=1e-4)


def _peak_error(result: Tensor, expected: transcription.Reals) -> float:
    return float(np.abs(result.numpy() - expected).max() / np.abs(expected).max())


class Inversion(NamedTuple):
    """The mel of 10 s of speech, with an initial magnitude and phase."""

    convention: MelConvention
    linear_mel: LinearMel
    magnitude: Tensor  # entropic, (n_freqs, n_frames)
    angles: Tensor
    source: str

    def run(self, method: PhaseMethod, n_iter: int = N_ITER) -> Tensor:
        """Return the waveform after iterations from the angles."""
        stft = tmi.STFT(self.convention)
        return reconstruct(
            method, self.magnitude, stft, n_iter, init=self.angles, mel=self.linear_mel
        ).waveform

    def convergence_of(self, init: str) -> float:
        """Return the spectral convergence of an initial phase in dB, without any iteration."""
        stft = tmi.STFT(self.convention)
        waveform = reconstruct(GriffinLim(), self.magnitude, stft, 0, init=init).waveform
        return float(spectral_convergence_db(stft(waveform).abs(), self.magnitude))


def _inversion() -> Inversion:
    convention = tmi.preset("hifigan_22k")
    waveform, source = speech(1, convention.n_samples(N_FRAMES), SAMPLE_RATE)
    mel = tmi.MelSpectrogram(convention).linear_mel(waveform[0])
    filterbank = tmi.MelFilterbank(convention)
    magnitude = entropic(mel, filterbank)
    angles = torch.from_numpy(2 * np.pi * np.random.default_rng(0).random(magnitude.shape)).float()
    return Inversion(convention, LinearMel(mel, filterbank, convention), magnitude, angles, source)


def mel_consistent() -> Case:
    """Compare iterations that keep the mel with iterations that keep a magnitude."""
    given = _inversion()
    default, fast = MelConsistent(), GriffinLim(MOMENTUM)
    tensors = (given.linear_mel.values, given.magnitude, given.angles)
    arrays = [each.double().numpy() for each in tensors]
    checks = []
    for n_iter in (1, 3):
        expected = transcription.mel_consistent(*arrays, given.convention, n_iter)
        what = f"error against a float64 transcription, {n_iter} iterations, relative to the peak"
        error = _peak_error(given.run(default, n_iter), expected)
        checks.append(check(what, error, at_most=1e-4))
    functions: dict[str, Callable[[], object]] = {
        "mel_consistent": lambda: given.run(default),
        "mel_consistent, GriffinLim(0.99)": lambda: given.run(MelConsistent(fast)),
        "fast_griffin_lim": lambda: given.run(fast),
    }
    return Case(
        f"{N_ITER} iterations, mel_consistent and fast_griffin_lim, hifigan_22k, 10 s",
        "mel_consistent",
        functions,
        {"fast_griffin_lim": 1 / 1.6},  # an iteration may take 1.6 times that of Griffin-Lim
        checks,
        {"signal": given.source},
    )


def initial_phases() -> Case:
    """Compare phases estimated from the magnitude with one iteration of fast Griffin-Lim."""
    given = _inversion()
    stft, method = tmi.STFT(given.convention), GriffinLim(MOMENTUM)
    rows = given.magnitude.mT[None].contiguous()
    plan = stft.plan(N_FRAMES, given.convention.n_samples(N_FRAMES), rows)
    problem = PhaseProblem(MagnitudeTarget(rows), plan)
    state = method.init(problem, torch.polar(rows, given.angles.mT[None]))
    functions: dict[str, Callable[[], object]] = {
        "one iteration": lambda: method.step(problem, state)
    }
    random_db, checks = given.convergence_of("random"), []
    for name in ("spsi", "pghi"):
        functions[name] = functools.partial(initial_phase, given.magnitude, given.convention, name)
        what = f"spectral convergence of {name} minus that of random phases, no iterations, dB"
        checks.append(check(what, given.convergence_of(name) - random_db, at_most=-3))
    return Case(
        "initial phase and one iteration of fast Griffin-Lim, hifigan_22k, 10 s",
        "one iteration",
        functions,
        {},
        checks,
        {"signal": given.source},
    )
