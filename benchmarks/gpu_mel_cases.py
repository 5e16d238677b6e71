"""GPU cases around the iteration: the entropic inverse, initial phases, and mel to waveform."""

from __future__ import annotations

import functools

import torch
import torchaudio
from torch import Tensor
from torch.nn.functional import pad

import torchmelinv as tmi
from benchmarks import gpu_work
from benchmarks.gpu_case import Case, Implementation, Make, Run, with_graph
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MAIN, Scale, input_sets, magnitudes
from benchmarks.gpu_step_cases import PRESET
from benchmarks.records import Record, check
from torchmelinv.cuda.backend import backend
from torchmelinv.doctor.errors import FAR, MAGNITUDE_ERROR, MAX_FAR, far_share, norm_error
from torchmelinv.doctor.inputs import MOMENTUM, waveforms
from torchmelinv.functional import initial_phase
from torchmelinv.magnitude.entropic import entropic, entropic_solve
from torchmelinv.metrics import mel_error_db

# Plain torch in float32 has an error of 1e-5 dB of mel error against float64.
RESIDUAL, TORCHAUDIO_RESIDUAL = 1e-5, 0.5  # ‖Ms − m‖ / ‖m‖; torchaudio solves another problem
MEL_ERROR_DB = 0.01
# Labels of the kernels of an inverter: its own, then those that it depends on.
INVERTER_KERNELS = ("inverter", "newton", "pghi", f"{MAIN.family} update", MAIN.family)


def _signals(items: int, n_frames: int, clock: Clock, seed: int) -> Tensor:
    n_samples = tmi.preset(PRESET).n_samples(n_frames)
    return waveforms(items, n_samples, MAIN.sample_rate, clock.device, seed)


def _inverse_mel_scale(device: torch.device) -> torchaudio.transforms.InverseMelScale:
    convention = tmi.preset(PRESET)
    return torchaudio.transforms.InverseMelScale(
        convention.n_freqs,
        convention.n_mels,
        int(convention.sample_rate),
        convention.f_min,
        convention.f_max,
        norm=convention.filter_norm,
        mel_scale=convention.mel_scale,
    ).to(device)


def entropic_magnitude(batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare mel to magnitude.

    torchaudio's least squares give another magnitude, farther from the mel; its residual is noted.
    """
    items, n_frames = MAIN.shape(batch, scale)
    mel_spectrogram = tmi.MelSpectrogram(PRESET)
    filterbank = mel_spectrogram.filterbank

    def linear_mel(seed: int) -> Tensor:
        return mel_spectrogram.linear_mel(_signals(items, n_frames, clock, seed)).contiguous()

    sets = input_sets(clock, linear_mel)

    def under(name: str, _: int = 1) -> Run:
        @torch.no_grad()
        def run(mel: Tensor) -> Tensor:
            with backend(name):
                return entropic(mel, filterbank)

        return run

    @functools.lru_cache(maxsize=2)
    def expected(index: int) -> Tensor:
        return under("reference")(sets[index].double())

    def checks(implementation: Implementation, _: Make, index: int, result: Tensor) -> list[Record]:
        residual = norm_error(filterbank(result.double()), sets[index].double())
        is_torchaudio = implementation.name == "torchaudio InverseMelScale"
        limit = TORCHAUDIO_RESIDUAL if is_torchaudio else RESIDUAL
        entries = [check("residual ‖Ms − m‖ / ‖m‖", residual, at_most=limit)]
        if not is_torchaudio:
            error = norm_error(result, expected(index))
            what = "relative error of the magnitude against float64"
            entries.append(check(what, error, at_most=MAGNITUDE_ERROR))
        return entries

    implementations = [
        Implementation(
            "torchaudio InverseMelScale",
            lambda _: torch.no_grad()(_inverse_mel_scale(clock.device)),
        ),
        Implementation("plain torch", functools.partial(under, "reference")),
        *with_graph("kernels", functools.partial(under, "cuda"), "each", "newton"),
    ]
    steps = float(entropic_solve(sets[0], filterbank).n_iter.double().mean())
    n_rows = items * n_frames
    work = gpu_work.entropic(filterbank.n_freqs, filterbank.n_mels, steps).of(n_rows)
    title = f"entropic magnitude, {n_rows} frames, {PRESET}, {steps:.3g} Newton steps per frame"
    return Case(title, MAIN, batch, 1, work, sets, implementations, checks)


def initial_phases(batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare phases estimated from a magnitude."""
    items, n_frames = MAIN.shape(batch, scale)
    sets = [magnitudes(MAIN, items, n_frames, clock.device, seed) for seed in range(2)]

    def under(init: str, name: str, _: int = 1) -> Run:
        def run(magnitude: Tensor) -> Tensor:
            with backend(name):
                return initial_phase(magnitude, MAIN.stft, init)

        return run

    @functools.lru_cache(maxsize=4)
    def expected(index: int, init: str) -> Tensor:
        return under(init, "reference")(sets[index].double())

    def checks(implementation: Implementation, _: Make, index: int, result: Tensor) -> list[Record]:
        init = implementation.name.split(", ")[1]
        what = f"share of angles farther than {FAR:g} from float64's, on the circle"
        return [check(what, far_share(result, expected(index, init)), at_most=MAX_FAR)]

    implementations = []
    for init in ("spsi", "pghi"):
        plain, kernels = (functools.partial(under, init, name) for name in ("reference", "cuda"))
        implementations += [
            Implementation(f"plain torch, {init}", plain),
            Implementation(f"kernels, {init}", kernels, None, (init,)),
        ]
    title = f"initial phase, {MAIN}, batch {batch}"
    return Case(title, MAIN, batch, 1, None, sets, implementations, checks)


def _by_torchaudio(n_iter: int, device: torch.device) -> Run:
    """Return torchaudio's inversion of the linear mel, as in peers.py."""
    n_fft, hop_length = MAIN.n_fft, MAIN.hop_length
    griffin_lim = torchaudio.transforms.GriffinLim(
        n_fft, n_iter, hop_length=hop_length, power=1.0, momentum=MOMENTUM
    ).to(device)
    inverse_mel, half = _inverse_mel_scale(device), hop_length // 2

    @torch.no_grad()
    def run(mel: Tensor) -> Tensor:
        magnitude = inverse_mel(mel.exp())  # the floor of the logarithm adds 1e-5 at most
        return griffin_lim(pad(magnitude, (1, 1), mode="replicate"))[:, half:-half]

    return run


def mel_to_waveform(batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare mel to waveform, as a user calls it."""
    items, n_frames = MAIN.shape(batch, scale)
    mel_spectrogram = tmi.MelSpectrogram(PRESET)
    signals = [_signals(items, n_frames, clock, seed) for seed in range(2)]
    sets = [mel_spectrogram(signal) for signal in signals]
    linear_mels = [mel_spectrogram.linear_mel(signal) for signal in signals]

    def under(name: str, n_iter: int, check: bool = True) -> Run:
        inverter = tmi.MelInverter(PRESET, n_iter=n_iter, check=check)

        @torch.no_grad()
        def run(mel: Tensor) -> Tensor:
            with backend(name):
                return inverter(mel)

        return run

    def error_db(index: int, waveform: Tensor) -> float:
        linear_mel = mel_spectrogram.linear_mel(waveform.double())
        return float(mel_error_db(linear_mel, linear_mels[index].double()).mean())

    @functools.lru_cache(maxsize=2)
    def expected(index: int) -> float:
        return error_db(index, under("reference", scale.n_iter)(sets[index].double()))

    def checks(implementation: Implementation, _: Make, index: int, result: Tensor) -> list[Record]:
        error = error_db(index, result)
        entries = [check("mel error, dB", error, at_most=0)]
        if implementation.name != "torchaudio":  # another method, whose error is only noted
            difference = abs(error - expected(index))
            what = "mel error minus float64's, dB"
            entries.append(check(what, difference, at_most=MEL_ERROR_DB))
        return entries

    def implementation(label: str, name: str, kernels: tuple[str, ...]) -> list[Implementation]:
        """Return the inverter as it is, and without checks as a graph, which none may be in."""
        eager, unchecked = (functools.partial(under, name, check=check) for check in (True, False))
        graph = Implementation(f"{label}, check=False, graph", unchecked, "each", kernels)
        return [Implementation(label, eager, None, kernels), graph]

    implementations = [
        Implementation("torchaudio", functools.partial(_by_torchaudio, device=clock.device)),
        *implementation("plain torch", "reference", ()),
        *implementation("kernels", "cuda", INVERTER_KERNELS),
    ]
    title = f"mel to waveform, {PRESET}, {scale.n_iter} iterations, batch {batch}"
    return Case(title, MAIN, batch, scale.n_iter, None, sets, implementations, checks)
