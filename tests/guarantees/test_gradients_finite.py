"""Gradients are finite: every public module and function, in silence, at floors, at all scales.

In float32, and in bfloat16 with autocast around forward and backward.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchmelinv
from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, stft_convention, tones
from tests.solve import MAGNITUDE_PHASES, solve_mel
from torchmelinv import (
    STFT,
    Compression,
    MelFilterbank,
    MelInverter,
    MelSpectrogram,
    MfccConvention,
    functional,
    losses,
    metrics,
)
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.magnitude.entropic import entropic_solve
from torchmelinv.magnitude.least_distance import least_distance_solve
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.phases import MelConsistent
from torchmelinv.transforms.compression import compress, decompress

# A call, and a function that makes its inputs.
Case = tuple[Callable[..., Any], Callable[[], tuple[Tensor, ...]]]

SCALES = (0.0, 1e-8, 1.0, 1e8)
KALDI = {
    "padding": "none",
    "window": "povey",
    "window_align": "left",
    "win_length": 100,
    "remove_dc": True,
    "pre_emphasis": 0.97,
}
CONVENTIONS = {
    "linear": TINY,
    "ln": TINY_LOG,
    "power": TINY_POWER,
    "deficient": DEFICIENT,
    "power 0.7": TINY.replace(power=0.7),
    "floor under the root": TINY.replace(
        magnitude_floor=1e-6, level=Compression(log="ln", floor=1e-5)
    ),
    "offset": DEFICIENT.replace(
        power=2, magnitude_offset=1e-6, level=Compression(log="ln", offset=1e-6)
    ),
    "clip": TINY.replace(
        level=Compression(
            log="log10", floor=1e-5, multiplier=20, shift=-20, affine=(-50, 50), clip=(-1, 1)
        )
    ),
    "range": TINY.replace(
        power=2, level=Compression(log="log10", floor=1e-10, dynamic_range=8.0, affine=(-4, 4))
    ),
    "reference": TINY.replace(
        level=Compression(
            log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80
        )
    ),
    "kaldi": TINY.replace(**KALDI, power=2, level=Compression(log="ln", floor=1.2e-7)),
}
SMALL = TINY_LOG.replace(n_fft=32, hop_length=8, n_mels=5)
SMALL_POWER = SMALL.replace(level={}, power=2)
FILTERBANK = MelFilterbank(TINY)
STFT_CONVENTION = stft_convention(n_fft=128, hop_length=32)
MFCC = MfccConvention(mel=TINY_LOG, n_mfcc=8)


def waveforms(n_samples: int = 256) -> Tensor:
    """Return (5, n_samples): signals of all SCALES, and one whose first frames are silent."""
    loud = tones(n_samples, (5,)) * torch.tensor([*SCALES, 1])[:, None]
    late = torch.arange(5)[:, None] == 4
    return torch.where(late & (torch.arange(n_samples) < 3 * n_samples // 4), 0, loud)


def magnitudes() -> Tensor:
    """Return magnitudes (5, n_freqs, n_frames); bins 10 to 19 of an item are silent."""
    magnitude = STFT(TINY)(waveforms()).abs()
    magnitude[2, 10:20] = 0
    return magnitude


def mels(convention: Any = TINY) -> Tensor:
    """Return mels in the convention's values; bands 3 to 5 of an item are at the floor."""
    mel = MelSpectrogram(convention)(waveforms(8 * convention.hop_length))
    mel[2, 3:6] = mel[0, 3:6]
    return mel


def mfccs() -> Tensor:
    return functional.mel_to_mfcc(mels(TINY_LOG), MFCC)


def pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return every item beside every item."""
    return values.repeat_interleave(5, 0), values.flip(-1).repeat(5, *[1] * (values.ndim - 1))


def spectra() -> tuple[Tensor, Tensor]:
    """Return a magnitude and its phase."""
    spectrum = STFT(TINY)(waveforms())
    return spectrum.abs(), spectrum.angle()


def real_outputs(output: Any) -> Iterable[Tensor]:
    """Yield the output's tensors that have a gradient, as real numbers."""
    for each in [output] if isinstance(output, Tensor) else output:
        if each.requires_grad:
            yield torch.view_as_real(each) if each.is_complex() else each


def check(call: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    """Check that values and gradients are finite, and that each input has a gradient."""
    for autocast, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        leaves = [each.detach().to(dtype).requires_grad_() for each in inputs]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            outputs = list(real_outputs(call(*leaves)))
            total = torch.zeros(())
            for each in outputs:
                generator = torch.Generator().manual_seed(0)
                total = total + (each * torch.randn(each.shape, generator=generator)).sum()
            gradients = torch.autograd.grad(total, leaves)
        assert all(each.isfinite().all() and each.dtype == torch.float32 for each in outputs)
        for gradient in gradients:
            assert gradient.isfinite().all()
            assert gradient.any()


def inverter(convention: Any, *args: Any, **options: Any) -> MelInverter:
    return MelInverter(convention, *args, n_iter=2, check=False, **options)


def inverter_cases() -> dict[str, Case]:
    """Return inversions with all inverses, methods, conventions, gradient modes and phases."""
    cases: dict[str, Case] = {}
    for phase in PHASES:
        for magnitude in MAGNITUDES:
            if magnitude != "nnls":
                module = inverter(SMALL, magnitude, phase)
                cases[f"{magnitude}, {phase}"] = module, lambda: (mels(SMALL),)
        # nnls is slow: few frames here, all of them in INTERNAL below
        module = inverter(TINY_LOG, "nnls", phase)
        cases[f"nnls, {phase}"] = module, lambda: (mels(TINY_LOG)[2::2, :, ::3],)
        for mode in ("checkpointed", 1, "phase_detached"):
            module = inverter(SMALL_POWER, phase=phase, gradient=mode)
            cases[f"{mode}, {phase}"] = module, lambda: (mels(SMALL_POWER)[..., ::2],)
    for name, convention in CONVENTIONS.items():
        for phase in ("fast_griffin_lim", "mel_consistent"):
            module = inverter(convention, phase=phase)
            cases[f"{name}, {phase}"] = module, lambda c=convention: (mels(c),)
    for magnitude in ("transpose", "pinv", "least_distance"):
        for name in ("linear", "power", "deficient"):
            module = inverter(CONVENTIONS[name], magnitude, "admm")
            cases[f"{magnitude}, {name}"] = module, lambda name=name: (mels(CONVENTIONS[name]),)
    for init in INITS:
        for phase in ("fast_griffin_lim", "raar", "mel_consistent"):
            cases[f"{init}, {phase}"] = inverter(TINY, phase=phase, init=init), lambda: (mels(),)
    lengths = torch.tensor([9, 2, 5, 9, 9])
    cases["padded"] = lambda mel: inverter(TINY)(mel, lengths=lengths), lambda: (mels(),)
    cases["init_waveform"] = (
        lambda mel, waveform: inverter(TINY)(mel, init_waveform=waveform),
        lambda: (mels(), waveforms()),
    )
    return cases


def mel_spectrogram_cases() -> dict[str, Case]:
    """Return mel spectrograms of all conventions, and of a padded batch."""
    cases: dict[str, Case] = {
        name: (MelSpectrogram(convention), lambda: (waveforms(),))
        for name, convention in CONVENTIONS.items()
    }
    lengths = torch.tensor([256, 70, 80, 90, 256])
    padded = lambda waveform: MelSpectrogram(TINY_LOG)(waveform, lengths=lengths)  # noqa: E731
    return {**cases, "padded": (padded, lambda: (waveforms(),))}


def waveform_pairs() -> tuple[Tensor, Tensor]:
    return pairs(waveforms())


MODULES: dict[type[nn.Module], dict[str, Case]] = {
    MelInverter: inverter_cases(),
    MelSpectrogram: mel_spectrogram_cases(),
    MelFilterbank: {
        "forward": (FILTERBANK, lambda: (magnitudes(),)),
        "adjoint": (FILTERBANK.adjoint, lambda: (mels(),)),
        "pinv": (FILTERBANK.pinv, lambda: (mels(),)),
    },
    STFT: {
        "forward": (STFT(TINY), lambda: (waveforms(),)),
        "inverse": (
            lambda m, phase: STFT(TINY).inverse(torch.polar(m.float(), phase.float())),
            spectra,
        ),
    },
    losses.SpectralConvergenceLoss: {"": (losses.SpectralConvergenceLoss(TINY), waveform_pairs)},
    losses.MultiResolutionSTFTLoss: {
        "": (losses.MultiResolutionSTFTLoss([(64, 16, 64), (128, 50, 100)]), waveform_pairs)
    },
    losses.MelLoss: {
        f"{name}, log {log}, p {p}": (losses.MelLoss(convention, log, p), waveform_pairs)
        for name, convention in CONVENTIONS.items()
        for log, p in ((True, 1), (True, 2), (False, 2))
    },
    losses.ComplexLoss: {f"p {p}": (losses.ComplexLoss(TINY, p=p), waveform_pairs) for p in (1, 2)},
    losses.ConsistencyLoss: {"": (losses.ConsistencyLoss(TINY), spectra)},
    losses.SmoothnessLoss: {"": (losses.SmoothnessLoss(TINY), lambda: (mels(),))},
    losses.ModulationSpectrumLoss: {
        "": (losses.ModulationSpectrumLoss(TINY), lambda: (mels(), mels().flip(-1)))
    },
}
FUNCTIONS: dict[str, dict[str, Case]] = {
    "waveform_to_mel": {
        "": (lambda waveform: functional.waveform_to_mel(waveform, TINY), lambda: (waveforms(),))
    },
    "mel_to_magnitude": {
        "": (lambda mel: functional.mel_to_magnitude(mel, TINY), lambda: (mels(),))
    },
    "magnitude_to_waveform": {
        phase: (
            lambda magnitude, phase=phase: functional.magnitude_to_waveform(
                magnitude, STFT_CONVENTION, phase, 2, init="random"
            ),
            lambda: (magnitudes(),),
        )
        for phase in MAGNITUDE_PHASES
    },
    "mel_to_waveform": {
        "": (lambda mel: functional.mel_to_waveform(mel, TINY, n_iter=2), lambda: (mels(),))
    },
    "mfcc_to_waveform": {
        "": (
            lambda mfcc: functional.mfcc_to_waveform(mfcc, MFCC, n_iter=2, check=False),
            lambda: (mfccs(),),
        )
    },
    "mel_to_mfcc": {"": (lambda mel: functional.mel_to_mfcc(mel, MFCC), lambda: (mels(TINY_LOG),))},
    "mfcc_to_mel": {
        "": (lambda mfcc: functional.mfcc_to_mel(mfcc, MFCC), lambda: (mfccs(),)),
        "noise": (
            lambda mfcc: functional.mfcc_to_mel(mfcc, MFCC),
            lambda: (torch.randn(5, 8, 9),),
        ),
    },
    **{
        metric.__name__: {
            "": (metric, lambda: pairs(mels())),
            "padded": (
                lambda *pair, metric=metric: metric(*pair, lengths=[5] * 25),
                lambda: pairs(mels()),
            ),
        }
        for metric in (metrics.log_mel_l1, metrics.mel_error_db, metrics.spectral_convergence_db)
    },
    "si_sdr_db": {"": (metrics.si_sdr_db, waveform_pairs)},
}
INTERNAL: dict[str, Case] = {
    **{
        name: (lambda mel, inverse=inverse: inverse(mel, FILTERBANK), lambda: (mels(),))
        for name, inverse in MAGNITUDES.items()
    },
    "entropic_solve": (lambda mel: entropic_solve(mel, FILTERBANK).spectrum, lambda: (mels(),)),
    "least_distance_solve": (
        lambda mel: least_distance_solve(mel, FILTERBANK).spectrum,
        lambda: (mels(),),
    ),
    "mel_consistent": (
        lambda mel: solve_mel(MelConsistent(), mel, TINY, 2).waveform,
        lambda: (mels(),),
    ),
    "compress": (
        lambda mel: [compress(mel, convention.level) for convention in CONVENTIONS.values()],
        lambda: (mels(),),
    ),
    "decompress": (
        lambda *mels: [
            decompress(mel, convention.level)
            for mel, convention in zip(mels, CONVENTIONS.values(), strict=True)
        ],
        lambda: tuple(mels(convention) for convention in CONVENTIONS.values()),
    ),
}
# A constant phase, and metrics that are computed without gradients.
WITHOUT_GRADIENT = {"initial_phase", *(set(metrics.__all__) - set(FUNCTIONS))}
# PESQ and ESTOI need packages; the others return numbers and arrays.
OF_SINGLE_ITEMS = {"pesq_wb", "estoi", "perceptual_scores"}
OF_SINGLE_ITEMS |= {"aligned_mel_scores", "aligned_scores", "dtw_path"}
CASES = {
    f"{name}: {case_name}": case
    for name, cases in {
        **{module.__name__: cases for module, cases in MODULES.items()},
        **FUNCTIONS,
        "internal": INTERNAL,
    }.items()
    for case_name, case in cases.items()
}


def test_every_public_module_and_function_is_covered():
    exported = [
        getattr(package, name) for package in (torchmelinv, losses) for name in package.__all__
    ]
    modules = {each for each in exported if isinstance(each, type) and issubclass(each, nn.Module)}
    assert modules == set(MODULES)
    functions = {*functional.__all__, *metrics.__all__}
    assert functions == set(FUNCTIONS) | WITHOUT_GRADIENT


def test_metrics_without_a_gradient_have_none():
    others = {"convention": TINY, "sample_rate": 8000, "hop_length": 16, "period": 64}
    covered = set()
    for name in WITHOUT_GRADIENT & set(metrics.__all__):
        metric = getattr(metrics, name)
        if not inspect.isfunction(metric):
            continue
        parameters = inspect.signature(metric).parameters.values()
        required = [each.name for each in parameters if each.default is each.empty]
        # Two channels, two items or two rows.
        estimate = tones(1600, (2,)).requires_grad_()
        if "reference" in required and name not in OF_SINGLE_ITEMS:
            covered.add(name)
            options = {each: others[each] for each in required[2:]}
            if name in ("mel_scores", "mel_cepstral_distortion_db"):
                estimate = mels().requires_grad_()
            result = metric(estimate, estimate.detach(), **options)
            results = result.values() if isinstance(result, dict) else [result]
            assert not any(each.requires_grad for each in results), name
    assert len(covered) == 24


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradients_are_finite(case):
    call, inputs = case
    check(call, inputs())


TRAINED = {
    "entropic": inverter(TINY),
    "distance": inverter(TINY, "least_distance", "raar"),
    "loss": losses.MelLoss(TINY_LOG),
}


@pytest.mark.parametrize("module", TRAINED.values(), ids=TRAINED)
def test_autocast_around_forward_alone_does_not_change_the_gradient(module):
    """torch recommends backward outside autocast; the gradient is then the same bit for bit."""
    gradients = []
    for enabled in (False, True):
        inputs = (mels(),) if isinstance(module, MelInverter) else waveform_pairs()
        leaves = [each.requires_grad_() for each in inputs]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = module(*leaves)
        gradients.append(torch.autograd.grad(output.sum(), leaves))
    assert all(torch.equal(*both) for both in zip(*gradients, strict=True))
