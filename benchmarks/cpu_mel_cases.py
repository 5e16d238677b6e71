"""CPU cases of mels: the filterbank inverses, and mel to waveform."""

from __future__ import annotations

import functools
from collections.abc import Callable

import librosa
import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import peers
from benchmarks.cpu_case import N_FRAMES, N_ITER, SAMPLE_RATE, Case
from benchmarks.recordings import speech
from benchmarks.records import check
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.metrics import mel_error_db


def magnitude_inverse(power: int) -> Case:
    """Compare the filterbank inverses with librosa's non-negative least squares."""
    convention = tmi.preset("hifigan_22k", power=power, magnitude_offset=0.0)
    filterbank = tmi.MelFilterbank(convention)
    waveform, source = speech(1, convention.n_samples(N_FRAMES), SAMPLE_RATE)
    mel = tmi.MelSpectrogram(convention).linear_mel(waveform[0].double())
    single, matrix = mel.float(), peers.librosa_filterbank(convention)
    functions: dict[str, Callable[[], object]] = {
        "entropic": functools.partial(entropic, single, filterbank),
        "librosa.util.nnls": lambda: librosa.util.nnls(matrix, single.numpy()),
    }
    for name in ("least_distance", "nnls", "pinv"):
        functions[name] = functools.partial(MAGNITUDES[name], single, filterbank)

    def residual(spectrum: object) -> float:
        error = filterbank.table @ torch.as_tensor(spectrum).double() - mel
        return float(torch.linalg.vector_norm(error) / torch.linalg.vector_norm(mel))

    residuals = {name: residual(function()) for name, function in functions.items()}
    factor = residuals["librosa.util.nnls"] / residuals["entropic"]
    checks = [
        peers.filterbank_check(filterbank, matrix),
        check("residual ‖Ms − m‖ / ‖m‖, librosa.util.nnls over entropic", factor, at_least=100),
    ]
    return Case(
        f"magnitude of {convention.n_mels} mel bands, power {power}, 10 s",
        "entropic",
        functions,
        {"librosa.util.nnls": 20.0},
        checks,
        {"residual": residuals, "signal": source},
    )


def mel_to_waveform() -> Case:
    """Compare `MelInverter` with the peers' mel inverses followed by their Griffin-Lim."""
    convention = tmi.preset("hifigan_22k")
    waveform, source = speech(1, convention.n_samples(N_FRAMES), SAMPLE_RATE)
    mel_spectrogram = tmi.MelSpectrogram(convention)
    inverter = tmi.MelInverter(convention, n_iter=N_ITER)
    by_torchaudio = peers.TorchaudioInverter(convention, N_ITER)
    mel, linear_mel = mel_spectrogram(waveform[0]), mel_spectrogram.linear_mel(waveform[0])
    functions: dict[str, Callable[[], Tensor]] = {
        "torchmelinv": lambda: inverter(mel),
        "torchaudio": lambda: by_torchaudio(linear_mel),
        "librosa": lambda: peers.librosa_waveform(linear_mel, convention, N_ITER),
    }
    errors = {
        name: float(mel_error_db(mel_spectrogram.linear_mel(function()), linear_mel))
        for name, function in functions.items()
    }
    checks = [
        check(f"mel error minus {peer}'s, dB", errors["torchmelinv"] - errors[peer], at_most=0)
        for peer in ("torchaudio", "librosa")
    ]
    return Case(
        f"mel to waveform, hifigan_22k, {N_ITER} iterations, 10 s",
        "torchmelinv",
        functions,
        {},
        checks,
        {"mel_error_db": errors, "signal": source},
    )
