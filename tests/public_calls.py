"""A small call of everything public that takes tensors, with its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import torchmelinv as tmi
from tests.problems import TINY, TINY_LOG, tones
from torchmelinv import functional, losses, metrics, restoration
from torchmelinv.callbacks import LogInversion
from torchmelinv.compat import librosa, torchaudio
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.phases import ADMM, MelConsistent
from torchmelinv.restoration.registry import RESTORATIONS
from torchmelinv.solvers.iterate import GRADIENTS

Case = tuple[Callable[..., Any], tuple[Tensor, ...]]  # a call, and its inputs

WAVEFORMS = tones(2048, (2,))
LENGTHS = torch.tensor([64, 40])
MEL = tmi.MelSpectrogram(TINY_LOG)(WAVEFORMS)
LINEAR_MEL = tmi.MelSpectrogram(TINY).linear_mel(WAVEFORMS)
SPECTRUM = tmi.STFT(TINY)(WAVEFORMS)
MAGNITUDE = SPECTRUM.abs()
MFCC = tmi.MfccConvention(mel=TINY_LOG, n_mfcc=8)
MFCCS = functional.mel_to_mfcc(MEL, MFCC)
FILTERBANK = tmi.MelFilterbank(TINY)
STATISTICS = restoration.mel_statistics([MEL], TINY_LOG)
SHAPED = MelConsistent(time_structure=1.0)


def inverter(convention: tmi.MelConvention = TINY_LOG, **options: Any) -> tmi.MelInverter:
    return tmi.MelInverter(convention, **{"n_iter": 2, "check": False, **options})


def inversions() -> dict[str, Case]:
    """Return inversions with every method, inverse, initial phase, restoration and gradient."""
    cases: dict[str, Case] = {}

    def add(name: str, **options: Any) -> None:
        cases[f"torchmelinv.MelInverter: {name}"] = inverter(**options), (MEL,)

    for phase in PHASES:
        add(f"phase {phase}", phase=phase, init="zero", magnitude="transpose")
    for name, phase in {"admm": MelConsistent(ADMM()), "shaped": SHAPED}.items():
        options = {"n_iter": 11, "init": "zero", "magnitude": "transpose"}
        add(f"phase mel_consistent, {name}", phase=phase, **options)
    for magnitude in MAGNITUDES:
        add(f"magnitude {magnitude}", magnitude=magnitude, phase="griffin_lim", init="zero")
    for init in INITS:
        add(f"init {init}", init=init, phase="griffin_lim", magnitude="transpose")
        add(f"init {init}, channels", init=init, magnitude="transpose", channels=True)
    for name in RESTORATIONS:
        for gradient in ("none", "unrolled"):
            options = {"init": "zero", "magnitude": "transpose", "gradient": gradient}
            add(f"restore {name}, gradient {gradient}", restore=name, **options)
    for gradient in (*GRADIENTS, 1):
        add(f"gradient {gradient}", gradient=gradient, init="zero", magnitude="transpose")
    add("tolerance", tolerance=1e-3, init="zero", magnitude="transpose")
    plain = inverter(init="zero", magnitude="transpose")
    calls: dict[str, Case] = {
        "lengths": (lambda mel: plain(mel, lengths=LENGTHS), (MEL,)),
        "lengths on the device": (lambda *both: plain(both[0], lengths=both[1]), (MEL, LENGTHS)),
        "length": (lambda mel: plain(mel, length=1000), (MEL,)),
        "init_waveform": (
            lambda mel, waveform: plain(mel, init_waveform=waveform),
            (MEL, WAVEFORMS),
        ),
        "solve": (lambda mel: plain.solve(mel, keep_best=True, hook=lambda *_: None), (MEL,)),
        "to_magnitude": (plain.to_magnitude, (MEL,)),
        "to_restored_mel": (plain.to_restored_mel, (MEL,)),
    }
    return cases | {f"torchmelinv.MelInverter: {name}": case for name, case in calls.items()}


def stream(mel: Tensor, **options: Any) -> list[Tensor]:
    inverter = tmi.StreamingInverter(TINY_LOG, check=False, **options)
    return list(inverter.invert(mel[..., :3].split((2, 1), -1)))


def write(mel: Tensor) -> None:
    class Writer:
        def add_audio(self, *args: Any, **options: Any) -> None:
            """Write nothing."""

    LogInversion(inverter(init="zero", magnitude="transpose")).write(mel, Writer(), 0)


def with_two_arguments() -> dict[str, Case]:
    """Return the metrics and losses of two waveforms, magnitudes or mels."""
    others: dict[str, tuple[Any, ...]] = {
        "edge_energy_db": (TINY,),
        "hop_fluctuation_db": (32,),
        "hop_modulation_db": (32,),
        "periodicity": (128,),
        **dict.fromkeys(
            (
                "band_level_db",
                "harmonics_to_noise_db",
                "onset_slope_db",
                "pre_echo_db",
                "pulse_depth",
                "tonal_line_db",
            ),
            (16000,),
        ),
    }
    pairs = {
        **dict.fromkeys(
            (
                *others,
                *("channel_correlation", "crest_factor_db", "downmix_level_db"),
                *("level_db", "si_sdr_db"),
            ),
            (WAVEFORMS, 0.9 * WAVEFORMS.flip(-1)),
        ),
        **dict.fromkeys(
            ("envelope_correlation", "log_spectral_distance_db", "spectral_convergence_db"),
            (MAGNITUDE, MAGNITUDE.flip(-1)),
        ),
        **dict.fromkeys(
            ("log_mel_l1", "mel_cepstral_distortion_db", "mel_error_db"),
            (LINEAR_MEL, LINEAR_MEL.flip(-1)),
        ),
    }
    for name in ("channel", "mel", "sound", "waveform"):
        others[f"{name}_scores"] = () if name == "channel" else (TINY,)
        pairs[f"{name}_scores"] = pairs["mel_error_db" if name == "mel" else "level_db"]
    cases: dict[str, Case] = {}
    for name, inputs in pairs.items():
        metric, more = getattr(metrics, name), others.get(name, ())
        call = lambda *both, metric=metric, more=more: metric(*both, *more)  # noqa: E731
        cases[f"torchmelinv.metrics.{name}"] = call, inputs
    waveforms = (WAVEFORMS, WAVEFORMS.flip(-1))
    modules: tuple[tuple[nn.Module, tuple[Tensor, ...]], ...] = (
        (losses.ComplexLoss(TINY), waveforms),
        (losses.ConsistencyLoss(TINY), (MAGNITUDE, SPECTRUM.angle())),
        (losses.MelLoss(TINY_LOG), waveforms),
        (losses.ModulationSpectrumLoss(TINY_LOG), (MEL, MEL.flip(-1))),
        (losses.MultiResolutionSTFTLoss([(64, 16, 64), (128, 50, 100)]), waveforms),
        (losses.SmoothnessLoss(TINY_LOG), (MEL,)),
        (losses.SpectralConvergenceLoss(TINY), waveforms),
    )
    return cases | {
        f"torchmelinv.losses.{type(module).__name__}": (module, inputs)
        for module, inputs in modules
    }


def restorations() -> dict[str, Case]:
    """Return the functions and objects of `restoration`."""
    steps = (
        restoration.MatchVariance(STATISTICS),
        restoration.MatchModulationSpectrum(STATISTICS),
        restoration.Sequential(restoration.UnsharpMask(), restoration.Contrast(1.1)),
    )
    calls: dict[str, Callable[[Tensor], Any]] = {
        "contrast": restoration.contrast,
        "match_modulation_spectrum": lambda mel: restoration.match_modulation_spectrum(
            mel, STATISTICS, lengths=LENGTHS
        ),
        "match_variance": lambda mel: restoration.match_variance(mel, STATISTICS),
        "smoothness": lambda mel: restoration.smoothness(mel, TINY_LOG, lengths=LENGTHS),
        "unsharp_mask": lambda mel: restoration.unsharp_mask(mel, lengths=LENGTHS),
        "mel_statistics": lambda mel: restoration.mel_statistics([mel, mel], TINY_LOG),
        **{
            f"MelRestoration: {restore}": restoration.MelRestoration(TINY_LOG, restore)
            for restore in (*RESTORATIONS, *steps)
        },
    }
    return {f"torchmelinv.restoration.{name}": (call, (MEL,)) for name, call in calls.items()}


def compatible() -> dict[str, Case]:
    """Return the modules and functions of `compat`."""
    ours = {"n_fft": 128, "hop_length": 32}
    bands = {"n_stft": 65, "n_mels": 16, "sample_rate": 8000}
    window = torch.hann_window(128)
    modules = {
        "GriffinLim": (torchaudio.GriffinLim(**ours, n_iter=2), (MAGNITUDE,)),
        "InverseMelScale": (torchaudio.InverseMelScale(**bands), (LINEAR_MEL,)),
        "MelScale": (torchaudio.MelScale(**bands), (MAGNITUDE,)),
        "MelSpectrogram": (torchaudio.MelSpectrogram(8000, **ours, n_mels=16), (WAVEFORMS,)),
        "Spectrogram": (torchaudio.Spectrogram(**ours), (WAVEFORMS,)),
        "griffinlim": (
            lambda values, window: torchaudio.griffinlim(
                values, window, 128, 32, 128, 1.0, 2, 0.9, None, False
            ),
            (MAGNITUDE, window),
        ),
    }
    ours = {**ours, "n_iter": 2}
    functions: dict[str, Case] = {
        "griffinlim": (lambda values: librosa.griffinlim(values, **ours), (MAGNITUDE,)),
        "mel_to_audio": (lambda mel: librosa.mel_to_audio(mel, sr=8000, **ours), (LINEAR_MEL,)),
        "mel_to_stft": (lambda mel: librosa.mel_to_stft(mel, sr=8000, n_fft=128), (LINEAR_MEL,)),
        "mfcc_to_audio": (
            lambda mfcc: librosa.mfcc_to_audio(mfcc, n_mels=16, sr=8000, **ours),
            (MFCCS,),
        ),
        "mfcc_to_mel": (lambda mfcc: librosa.mfcc_to_mel(mfcc, n_mels=16), (MFCCS,)),
        "nnls": (
            lambda values: librosa.nnls(FILTERBANK.table.float(), values),
            (LINEAR_MEL[..., 8:12],),
        ),
    }
    return {
        **{f"torchmelinv.compat.torchaudio.{name}": case for name, case in modules.items()},
        **{f"torchmelinv.compat.librosa.{name}": case for name, case in functions.items()},
    }


CASES: dict[str, Case] = {
    **inversions(),
    **with_two_arguments(),
    **restorations(),
    **compatible(),
    "torchmelinv.MelFilterbank": (FILTERBANK, (MAGNITUDE,)),
    "torchmelinv.MelFilterbank: adjoint": (FILTERBANK.adjoint, (LINEAR_MEL,)),
    "torchmelinv.MelFilterbank: pinv": (FILTERBANK.pinv, (LINEAR_MEL,)),
    "torchmelinv.MelSpectrogram": (tmi.MelSpectrogram(TINY_LOG), (WAVEFORMS,)),
    "torchmelinv.STFT": (
        lambda waveform: tmi.STFT(TINY)(waveform, lengths=torch.tensor([2048, 1000])),
        (WAVEFORMS,),
    ),
    "torchmelinv.STFT: inverse": (tmi.STFT(TINY).inverse, (SPECTRUM,)),
    "torchmelinv.StreamingInverter": (stream, (MEL,)),
    "torchmelinv.StreamingInverter: channels": (lambda mel: stream(mel, channels=True), (MEL,)),
    "torchmelinv.callbacks.LogInversion": (write, (MEL,)),
    "torchmelinv.convert": (
        lambda mel: (
            tmi.convert(mel, TINY_LOG, TINY, "transpose", n_iter=2, init="zero", check=False).mel
        ),
        (MEL,),
    ),
    "torchmelinv.mel_to_waveform": (
        lambda mel: tmi.mel_to_waveform(
            mel, TINY_LOG, "transpose", n_iter=2, init="zero", check=False
        ),
        (MEL,),
    ),
    **{
        f"torchmelinv.functional.{name}": case
        for name, case in {
            "initial_phase": (
                lambda magnitude: functional.initial_phase(magnitude, TINY.stft, "random"),
                (MAGNITUDE,),
            ),
            "magnitude_to_waveform": (
                lambda magnitude: functional.magnitude_to_waveform(
                    magnitude, TINY.stft, n_iter=2, init="random"
                ),
                (MAGNITUDE,),
            ),
            "mel_to_magnitude": (
                lambda mel: functional.mel_to_magnitude(mel, TINY_LOG, "pinv", check=False),
                (MEL,),
            ),
            "mel_to_mfcc": (lambda mel: functional.mel_to_mfcc(mel, MFCC), (MEL,)),
            "mfcc_to_mel": (lambda mfcc: functional.mfcc_to_mel(mfcc, MFCC), (MFCCS,)),
            "mfcc_to_waveform": (
                lambda mfcc: functional.mfcc_to_waveform(
                    mfcc, MFCC, "transpose", n_iter=2, init="zero", check=False
                ),
                (MFCCS,),
            ),
            "waveform_to_mel": (
                lambda waveform: functional.waveform_to_mel(waveform, TINY_LOG),
                (WAVEFORMS,),
            ),
        }.items()
    },
    "torchmelinv.metrics.gradient_norm": (
        lambda mel: metrics.gradient_norm(inverter(init="zero", magnitude="transpose"), mel),
        (MEL,),
    ),
    "torchmelinv.metrics.inconsistency_db": (
        lambda spectrum: metrics.inconsistency_db(spectrum, TINY.stft),
        (SPECTRUM,),
    ),
    "torchmelinv.metrics.target_inconsistency_db": (
        lambda waveform, magnitude: metrics.target_inconsistency_db(waveform, magnitude, TINY.stft),
        (WAVEFORMS, MAGNITUDE),
    ),
}
