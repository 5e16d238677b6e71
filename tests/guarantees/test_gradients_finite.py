"""Gradients are finite: every public module and function, in silence, at floors, at all scales, in single and half precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchmelinv
from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, frame_convention, tones
from torchmelinv import Frame, Level, MelAnalyzer, MelFilterbank, MelInverter, MfccConvention, functional, losses
from torchmelinv.invert import MAGNITUDES, PHASES
from torchmelinv.phase.start import STARTS

SCALES = (0.0, 1e-8, 1.0, 1e8)
KALDI = {"padding": "none", "window": "povey", "window_align": "left", "win_length": 100, "remove_dc": True, "pre_emphasis": 0.97}
CONVENTIONS = {
    "linear": TINY,
    "ln": TINY_LOG,
    "power": TINY_POWER,
    "deficient": DEFICIENT,
    "power 0.7": TINY.replace(power=0.7),
    "floor under the root": TINY.replace(magnitude_floor=1e-6, level=Level(log="ln", floor=1e-5)),
    "offset": DEFICIENT.replace(power=2, magnitude_offset=1e-6, level=Level(log="ln", offset=1e-6)),
    "clip": TINY.replace(level=Level(log="log10", floor=1e-5, multiplier=20, shift=-20, affine=(-50, 50), clip=(-1, 1))),
    "range": TINY.replace(power=2, level=Level(log="log10", floor=1e-10, dynamic_range=8.0, affine=(-4, 4))),
    "reference": TINY.replace(level=Level(log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80)),
    "kaldi": TINY.replace(**KALDI, power=2, level=Level(log="ln", floor=1.2e-7)),
}
SMALL = TINY_LOG.replace(n_fft=32, hop_length=8, n_mels=5)
BANK = MelFilterbank(TINY)
MFCC = MfccConvention(mel=TINY_LOG, n_mfcc=8)


def waveforms(n_samples: int = 256) -> Tensor:
    """Silence, signals 1e-8, 1 and 1e8 loud, and one that begins in silence, which whole frames see: (5, n_samples)."""
    loud = tones(n_samples, (5,)) * torch.tensor([*SCALES, 1])[:, None]
    return torch.where((torch.arange(5)[:, None] == 4) & (torch.arange(n_samples) < 3 * n_samples // 4), 0, loud)


def magnitudes() -> Tensor:
    magnitude = Frame(TINY).analyse(waveforms()).abs()
    magnitude[2, 10:20] = 0  # bins that are silent throughout
    return magnitude


def mels(convention: Any = TINY) -> Tensor:
    """In the convention's values; the bands that are silent throughout are at its floor."""
    mel = MelAnalyzer(convention)(waveforms(8 * convention.hop_length))
    mel[2, 3:6] = mel[0, 3:6]
    return mel


def pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    """Every item beside every item."""
    return values.repeat_interleave(5, 0), values.flip(-1).repeat(5, *[1] * (values.ndim - 1))


def spectra() -> tuple[Tensor, Tensor]:
    """Magnitude and phase."""
    spectrum = Frame(TINY).analyse(waveforms())
    return spectrum.abs(), spectrum.angle()


def parts(answer: Any) -> Iterable[Tensor]:
    """The answer's tensors that a gradient reaches, as real numbers."""
    tensors = [answer] if isinstance(answer, Tensor) else answer
    for each in tensors:
        if each.requires_grad:
            yield torch.view_as_real(each) if each.is_complex() else each


def check(call: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    """In float32, and in bfloat16 with the way back under autocast, too: values and gradients finite, and gradients there are."""
    for autocast, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        leaves = [each.detach().to(dtype).requires_grad_() for each in inputs]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found = list(parts(call(*leaves)))
            weights = [torch.randn(each.shape, generator=torch.Generator().manual_seed(0)) for each in found]
            total = torch.stack([(each * weight).sum() for each, weight in zip(found, weights, strict=True)]).sum()
            gradients = torch.autograd.grad(total, leaves)
        assert all(each.isfinite().all() and each.dtype == torch.float32 for each in found)
        for gradient in gradients:
            assert gradient.isfinite().all()
            assert gradient.any()


def inverter(convention: Any, *options: Any, **more: Any) -> Callable[[Tensor], Tensor]:
    return MelInverter(convention, *options, n_iter=2, check=False, **more)


# module: name: what is called, and with what
MODULES: dict[type[nn.Module], dict[str, tuple[Callable[..., Any], Callable[[], tuple[Tensor, ...]]]]] = {
    MelInverter: {
        **{f"{m}, {p}": (inverter(SMALL, m, p), lambda: (mels(SMALL),)) for m in MAGNITUDES if m != "nnls" for p in PHASES},
        # few frames, for it is slow; `functional.nnls` below has all of them
        **{f"nnls, {p}": (inverter(TINY_LOG, "nnls", p), lambda: (mels(TINY_LOG)[2::2, :, ::3],)) for p in PHASES},
        **{f"{name}, {p}": (inverter(c, phase=p), lambda c=c: (mels(c),))
           for name, c in CONVENTIONS.items() for p in ("fast_griffin_lim", "mel_consistent")},
        **{f"{m}, {name}": (inverter(CONVENTIONS[name], m, "admm"), lambda name=name: (mels(CONVENTIONS[name]),))
           for m in ("transpose", "pinv", "least_distance") for name in ("linear", "power", "deficient")},
        **{f"{mode}, {p}": (inverter(SMALL.replace(level={}, power=2), phase=p, gradient=mode),
                            lambda: (mels(SMALL.replace(level={}, power=2))[..., ::2],))
           for mode in ("checkpointed", 1, "phase_detached") for p in PHASES},
        **{f"{start}, {p}": (inverter(TINY, phase=p, start=start), lambda: (mels(),))
           for start in STARTS for p in ("fast_griffin_lim", "raar", "mel_consistent")},
        "padded": (lambda mel: inverter(TINY)(mel, lengths=torch.tensor([9, 2, 5, 9, 9])), lambda: (mels(),)),
        "lent": (lambda mel, lent: inverter(TINY)(mel, start_waveform=lent), lambda: (mels(), waveforms())),
    },
    MelAnalyzer: {
        **{name: (MelAnalyzer(c), lambda: (waveforms(),)) for name, c in CONVENTIONS.items()},
        "padded": (lambda w: MelAnalyzer(TINY_LOG)(w, lengths=torch.tensor([256, 70, 80, 90, 256])), lambda: (waveforms(),)),
    },
    MelFilterbank: {
        "forward": (BANK, lambda: (magnitudes(),)),
        "adjoint": (BANK.adjoint, lambda: (mels(),)),
        "pinv": (BANK.pinv, lambda: (mels(),)),
    },
    Frame: {
        "analyse": (Frame(TINY).analyse, lambda: (waveforms(),)),
        "synthesise": (lambda m, phase: Frame(TINY).synthesise(torch.polar(m.float(), phase.float())), spectra),
    },
    losses.SpectralConvergenceLoss: {"": (losses.SpectralConvergenceLoss(TINY), lambda: pairs(waveforms()))},
    losses.MultiResolutionSTFTLoss: {
        "": (losses.MultiResolutionSTFTLoss([(64, 16, 64), (128, 50, 100)]), lambda: pairs(waveforms()))
    },
    losses.MelLoss: {
        f"{name}, log {log}, p {p}": (losses.MelLoss(c, log, p), lambda: pairs(waveforms()))
        for name, c in CONVENTIONS.items() for log, p in ((True, 1), (True, 2), (False, 2))
    },
    losses.ComplexLoss: {f"p {p}": (losses.ComplexLoss(TINY, p=p), lambda: pairs(waveforms())) for p in (1, 2)},
    losses.ConsistencyLoss: {"": (losses.ConsistencyLoss(TINY), spectra)},
}
FRAME = frame_convention(n_fft=128, hop_length=32)
PHASE_FUNCTIONS = ("griffin_lim", "fast_griffin_lim", "accelerated_griffin_lim", "admm", "raar", "lws", "rtisi_la")
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[[], tuple[Tensor, ...]]]] = {
    **{name: (lambda m, name=name: getattr(functional, name)(m, FRAME, 2), lambda: (magnitudes(),)) for name in PHASE_FUNCTIONS},
    **{name: (lambda mel, f=f: f(mel, BANK), lambda: (mels(),)) for name, f in MAGNITUDES.items()},
    "entropic_solve": (lambda mel: functional.entropic_solve(mel, BANK).magnitude, lambda: (mels(),)),
    "least_distance_solve": (lambda mel: functional.least_distance_solve(mel, BANK).magnitude, lambda: (mels(),)),
    "mel_consistent": (lambda mel: functional.mel_consistent(mel, TINY, 2), lambda: (mels(),)),
    "mel_to_waveform": (lambda mel: functional.mel_to_waveform(mel, TINY, n_iter=2), lambda: (mels(),)),
    "mfcc_to_waveform": (
        lambda mfcc: functional.mfcc_to_waveform(mfcc, MFCC, n_iter=2, check=False),
        lambda: (functional.mel_to_mfcc(mels(TINY_LOG), MFCC),),
    ),
    "mel_to_mfcc": (lambda mel: functional.mel_to_mfcc(mel, MFCC), lambda: (mels(TINY_LOG),)),
    "mfcc_to_mel": (lambda mfcc: functional.mfcc_to_mel(mfcc, MFCC), lambda: (functional.mel_to_mfcc(mels(TINY_LOG), MFCC),)),
    "mfcc_to_log_mel": (lambda mfcc: functional.mfcc_to_log_mel(mfcc, MFCC), lambda: (torch.randn(5, 8, 9),)),
    "compress": (lambda mel: [functional.compress(mel, c.level) for c in CONVENTIONS.values()], lambda: (mels(),)),
    "expand": (
        lambda *values: [functional.expand(each, c.level) for each, c in zip(values, CONVENTIONS.values(), strict=True)],
        lambda: tuple(mels(convention) for convention in CONVENTIONS.values()),
    ),
    "log_mel_l1": (functional.log_mel_l1, lambda: pairs(mels())),
}
# tables, angles that count as given, decibels, which are infinite in silence by definition, and the norm of a gradient
WITHOUT_GRADIENT = {"band_edges", "mel_matrix", "start_angles", "spectral_convergence_db", "mel_error_db", "gradient_norm"}


def test_every_public_module_and_function_is_swept():
    public = {
        thing for house in (torchmelinv, losses) for name, thing in vars(house).items()
        if isinstance(thing, type) and issubclass(thing, nn.Module) and not name.startswith("_")
    }
    assert public == set(MODULES)
    listed = {name: thing for name, thing in vars(functional).items() if not name.startswith("_")}
    metrics = {name for name, thing in listed.items() if thing.__module__.endswith((".metrics", ".perceptual"))}  # have none
    assert set(listed) == set(FUNCTIONS) | WITHOUT_GRADIENT | metrics


EACH_MODULE = {f"{kind.__name__}: {name}": case for kind, cases in MODULES.items() for name, case in cases.items()}


@pytest.mark.parametrize("case", EACH_MODULE.values(), ids=EACH_MODULE)
def test_modules(case):
    call, inputs = case
    check(call, inputs())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    call, inputs = FUNCTIONS[name]
    check(call, inputs())


TRAINED = {"entropic": inverter(TINY), "distance": inverter(TINY, "least_distance", "raar"), "loss": losses.MelLoss(TINY_LOG)}


@pytest.mark.parametrize("module", TRAINED.values(), ids=TRAINED)
def test_autocast_around_the_way_there_does_not_change_the_way_back(module):
    """As torch wants it used: backward outside. The gradient is then the same bit for bit."""
    gradients = []
    for enabled in (False, True):
        leaves = [each.requires_grad_() for each in ((mels(),) if isinstance(module, MelInverter) else pairs(waveforms()))]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            answer = module(*leaves)
        gradients.append(torch.autograd.grad(answer.sum(), leaves))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
