"""Gradients against finite differences, and against plain autograd of the papers' recursions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.derivative import is_derivative
from tests.phase.papers import (
    F64,
    PADDED,
    Projections,
    accelerated,
    admm,
    impose_mel,
    istft,
    magnitude_of,
    raar,
    stft,
)
from tests.problems import DEFICIENT, tones
from tests.solve import MAGNITUDE_PHASES, solve, solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.conventions.stft_convention import PADDINGS
from torchmelinv.errors import InputError
from torchmelinv.functional import initial_phase
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase import PHASES
from torchmelinv.phase.lws import weighted_sums
from torchmelinv.phases import (
    ADMM,
    LWS,
    RAAR,
    RTISILA,
    AcceleratedGriffinLim,
    FastGriffinLim,
    GriffinLim,
    MelConsistent,
    PhaseMethod,
    Then,
)
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import remove_offset
from torchmelinv.transforms.stft import STFT

SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4, filter_norm=None)
KALDI = {
    "padding": "none",
    "window": "povey",
    "window_align": "left",
    "win_length": 14,
    "pre_emphasis": 0.97,
    "remove_dc": True,
}
CONVENTIONS = {
    **{padding: SMALL.replace(padding=padding) for padding in PADDINGS},
    "odd": SMALL.replace(
        n_fft=17, win_length=14, hop_length=5, window_normalized=True, padding="same_reflect_win"
    ),
    "kaldi": SMALL.replace(**KALDI),
    "drop_last": SMALL.replace(drop_last_frame=True),
}
STAGED = Then(RAAR(after=None), GriffinLim(0.99), 2)
METHODS = [
    *(method() for method in MAGNITUDE_PHASES.values()),
    GriffinLim(1.3),
    RAAR(after=None),
    STAGED,
    LWS(bins=3, alpha=1.0, rtisi_iter=1),
]


def uses_initial_phase(method: PhaseMethod) -> bool:
    return method.stages(4)[0][0].uses_initial_phase


def small_magnitude(convention: MelConvention, items: tuple[int, ...] = (2,)) -> Tensor:
    return (STFT(convention)(tones(52, items, F64)).abs() + 0.05)[..., :9]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
def test_unrolled_is_the_derivative_for_every_stft_and_a_padded_batch(convention, method):
    magnitude, lengths = small_magnitude(convention), torch.tensor([9, 6])
    # RTISI-LA does its iterations for each frame's buffer, and each amplifies rounding.
    n_iter = 2 if isinstance(method, RTISILA) else 4
    init = "random" if convention.padding.startswith("center") else "zero"

    def waveform_of(magnitude: Tensor) -> Tensor:
        return solve(method, magnitude, convention, n_iter, lengths=lengths, init=init).waveform

    assert is_derivative(waveform_of, magnitude)
    leaf = magnitude.requires_grad_()
    (gradient,) = torch.autograd.grad(waveform_of(leaf).square().sum(), leaf)
    assert (gradient[1, :, 6:] == 0).all()


@pytest.mark.parametrize(
    "method", [method for method in METHODS if uses_initial_phase(method)], ids=str
)
def test_only_unrolled_passes_a_gradient_to_init_waveform(method):
    magnitude = small_magnitude(SMALL, ())
    init_waveform = tones(32, dtype=F64).flip(-1) + 0.1 * torch.randn(32, dtype=F64)
    leaf = init_waveform.clone().requires_grad_()

    def waveform_of(init_waveform: Tensor, mode: str | int = "unrolled") -> Tensor:
        options = {"init_waveform": init_waveform, "gradient": mode}
        return solve(method, magnitude, SMALL, 3, **options).waveform

    assert is_derivative(waveform_of, init_waveform)
    for mode in (1, 2, "phase_detached", "none"):
        assert not waveform_of(leaf, mode).requires_grad


# The papers' recursions in plain torch, for (initial spectrum, projections, n_iter, last).


def fast(
    initial: Tensor, projections: Projections, n_iter: int, last: float, momentum: float = 0.99
) -> Tensor:
    return accelerated(initial, projections, n_iter, momentum, momentum, 1.0, last)


def staged(initial: Tensor, projections: Projections, n_iter: int, last: float) -> Tensor:
    later = n_iter - 2
    signal = raar(initial, projections, 2, 0.9, last - later)
    if last <= later:
        signal = signal.detach()
    return fast(projections.impose(projections.forward(signal)), projections, later, last)


def lws(initial: Tensor, projections: Projections, n_iter: int, last: float) -> Tensor:
    c = initial
    for iteration in range(n_iter):
        c = c.detach() if 0 < iteration == n_iter - last else c
        # The sums are linear; tests/phase/test_lws.py compares them with loops.
        sums = weighted_sums(c.mT[None], STFT_CONVENTION, 3)[0].mT
        c = projections.impose(sums)
    return projections.inverse(c)


STFT_CONVENTION = SMALL.replace(n_fft=64, hop_length=16, win_length=64).stft
# The method, and its recursion.
RECURSIONS = {
    "griffin_lim": (GriffinLim(), lambda *p: fast(*p, momentum=0.0)),
    "fast": (GriffinLim(0.99), fast),
    "accelerated": (
        AcceleratedGriffinLim(0.9, 0.8, 1.1),
        lambda *p: accelerated(*p[:3], 0.9, 0.8, 1.1, p[3]),
    ),
    "admm": (ADMM(0.1), lambda *p: admm(*p[:3], 0.1, p[3])),
    "raar": (RAAR(0.9, after=None), lambda *p: raar(*p[:3], 0.9, p[3])),
    "then": (STAGED, staged),
    "lws": (LWS(bins=3), lws),
}
# The number of last iterations, of four, that a gradient passes in each mode.
LAST_OF_MODE = {
    "unrolled": math.inf,
    "checkpointed": math.inf,
    1: 1,
    2: 2,
    3: 3,
    4: math.inf,
    9: math.inf,
}


def assert_modes_agree(
    waveform_of: Callable[[str | int], Tensor], expected_of: Callable[[float], Tensor], leaf: Tensor
) -> None:
    """Compare the gradient of each mode with plain autograd, to 1e-8 of its largest entry."""
    weights = torch.randn_like(waveform_of("none"))

    def gradient_of(waveform: Tensor) -> Tensor:
        return torch.autograd.grad((waveform * weights).sum(), leaf, retain_graph=True)[0]

    gradients = {last: gradient_of(expected_of(last)) for last in set(LAST_OF_MODE.values())}
    for mode, last in LAST_OF_MODE.items():
        error = (gradient_of(waveform_of(mode)) - gradients[last]).abs().max()
        assert error < 1e-8 * gradients[last].abs().max() < math.inf, mode


@pytest.mark.parametrize("name", RECURSIONS)
@PADDED
def test_each_mode_is_autograd_of_the_papers_recursion(convention, name):
    method, recursion = RECURSIONS[name]
    leaf = (magnitude_of(convention) + 0.01).requires_grad_()
    angles = 2 * torch.pi * torch.rand(leaf.shape, dtype=F64)
    projections = Projections(lambda c: leaf * c.sgn(), lambda x: stft(x, convention), istft)

    def waveform_of(mode: str | int) -> Tensor:
        return solve(method, leaf, convention, 4, init=angles, gradient=mode).waveform

    def expected_of(last: float) -> Tensor:
        return recursion(torch.polar(leaf, angles), projections, 4, last)

    assert_modes_agree(waveform_of, expected_of, leaf)


@pytest.mark.parametrize("name", RECURSIONS)
@pytest.mark.parametrize("changes", [{"magnitude_offset": 1e-3}, {"power": 2}], ids=str)
def test_each_mode_is_autograd_of_the_recursion_with_a_mel_target(changes, name):
    """The initial magnitude is the entropic one; tests/magnitude checks its gradient."""
    method, recursion = RECURSIONS[name]
    method = MelConsistent(method, damping=0.8)
    convention = SMALL.replace(
        n_fft=64, hop_length=16, win_length=64, n_mels=12, padding="center_zero", **changes
    )
    leaf = MelSpectrogram(convention).linear_mel(tones(480, dtype=F64)).requires_grad_()
    magnitude = remove_offset(entropic(leaf, MelFilterbank(convention)), convention)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    impose = impose_mel(leaf, convention, 2, 0.8)
    projections = Projections(impose, lambda x: stft(x, convention), istft)

    def waveform_of(mode: str | int) -> Tensor:
        return solve_mel(method, leaf, convention, 4, init=angles, gradient=mode).waveform

    def expected_of(last: float) -> Tensor:
        return recursion(torch.polar(magnitude, angles), projections, 4, last)

    assert_modes_agree(waveform_of, expected_of, leaf)


DECIBELS = {"log": "log10", "floor": 1e-10}
BAND_STATISTICS = {"band_mean": (-4.0, -3.0, -2.0, -1.0), "band_scale": (2.0, 1.0, 0.5, 3.0)}
LEVELS = [
    Compression(log="ln", floor=1e-5),
    Compression(log="ln", offset=1e-3),
    Compression(
        log="log10", floor=1e-5, multiplier=20, shift=-20, affine=(-50, 50), clip=(-0.8, 0.8)
    ),
    Compression(**DECIBELS, dynamic_range=1.5, affine=(-4, 4)),
    Compression(**DECIBELS, multiplier=10, reference_max=True, dynamic_range=30),
    Compression(log="ln", floor=1e-5, **BAND_STATISTICS),
]
POWERS = [
    *({"power": power, "level": LEVELS[0]} for power in (1, 2, 0.7)),
    *({"power": power, "magnitude_offset": 1e-2} for power in (1, 2, 0.7)),
    *({"power": power, "magnitude_floor": 1e-2} for power in (1, 2, 0.7)),
]


@pytest.mark.parametrize("phase", ["fast_griffin_lim", "mel_consistent"])
@pytest.mark.parametrize("changes", [*({"level": level} for level in LEVELS), *POWERS], ids=str)
def test_analysis_and_inversion_have_the_derivative_of_every_compression(changes, phase):
    """In a padded batch; floors, ranges and clips cut off some values of the mel."""
    convention = SMALL.replace(padding="same_reflect", **changes)
    mel_spectrogram, waveform = MelSpectrogram(convention), 2 * tones(36, (2,), F64)
    inverter = MelInverter(convention, phase=phase, n_iter=3, init="random", check=False)
    samples, frames = torch.tensor([36, 25]), torch.tensor([9, 6])
    assert is_derivative(lambda waveform: mel_spectrogram(waveform, lengths=samples), waveform)
    assert is_derivative(lambda mel: inverter(mel, lengths=frames), mel_spectrogram(waveform))


@pytest.mark.parametrize(
    ("phase", "power"), [("mel_consistent", 1), ("raar", 2), (MelConsistent(ADMM()), 0.7)]
)
def test_inversion_has_the_derivative_for_a_rank_deficient_filterbank(phase, power):
    """For a noisy mel, whose regularized solution is smooth.

    Next to a mel that some spectrum has there are mels that none has.
    """
    convention = DEFICIENT.replace(power=power)
    mel = MelSpectrogram(convention).linear_mel(tones(60, dtype=F64))
    mel = mel * torch.randn_like(mel).exp()
    assert is_derivative(MelInverter(convention, phase=phase, n_iter=2, init="random"), mel)


@pytest.mark.parametrize("name", ["spsi", "pghi"])
def test_estimated_initial_phases_are_constants(name):
    convention = SMALL.stft
    magnitude = small_magnitude(SMALL, ()).requires_grad_()
    gradients = []
    for init in (name, initial_phase(magnitude, convention, name)):
        waveform = solve(FastGriffinLim(), magnitude, convention, 2, init=init).waveform
        gradients.append(torch.autograd.grad(waveform.square().sum(), magnitude)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("magnitude", ["transpose", "entropic", "least_distance"])
def test_second_derivatives_of_magnitudes(magnitude):
    mel = MelSpectrogram(SMALL)(tones(40, dtype=F64)).requires_grad_()
    assert torch.autograd.gradgradcheck(MelInverter(SMALL, magnitude).to_magnitude, mel)


@pytest.mark.parametrize("magnitude", ["transpose", "entropic", "least_distance"])
@pytest.mark.parametrize("phase", MAGNITUDE_PHASES)
def test_create_graph_does_not_change_the_gradient(phase, magnitude):
    """`gradgradcheck` differentiates any gradient that create_graph gives, right or wrong."""
    mel = MelSpectrogram(SMALL)(tones(40, dtype=F64)).requires_grad_()
    energy = MelInverter(SMALL, magnitude, phase, 3, init="random")(mel).square().sum()
    (expected,) = torch.autograd.grad(energy, mel, retain_graph=True)
    (gradient,) = torch.autograd.grad(energy, mel, create_graph=True)
    atol = 1e-10 * float(expected.abs().max())
    torch.testing.assert_close(gradient.detach(), expected, rtol=1e-8, atol=atol)


@pytest.mark.parametrize("phase", MAGNITUDE_PHASES)
def test_second_derivatives_of_phase_methods(phase):
    mel = MelSpectrogram(SMALL)(tones(40, dtype=F64)).requires_grad_()
    inverter = MelInverter(SMALL, "transpose", phase, 1, init="random")
    assert torch.autograd.gradgradcheck(inverter, mel)


@pytest.mark.parametrize("mode", ["unrolled", "checkpointed", 1, "phase_detached"])
def test_second_derivatives_of_mel_consistent_methods_are_refused(mode):
    mel = MelSpectrogram(SMALL)(tones(40, dtype=F64)).requires_grad_()
    waveform = MelInverter(SMALL, "transpose", "mel_consistent", 2, gradient=mode)(mel)
    message = "no second derivative; call backward or grad without create_graph=True"
    with pytest.raises(InputError, match=message):
        torch.autograd.grad(waveform.square().sum(), mel, create_graph=True)


@pytest.mark.parametrize("phase", PHASES)
def test_mode_none_passes_no_gradient(phase):
    mel = MelSpectrogram(SMALL)(tones(40)).requires_grad_()
    options = {}
    if uses_initial_phase(PHASES[phase]()):
        options["init_waveform"] = tones(40).requires_grad_()
    for magnitude in MAGNITUDES:
        inverter = MelInverter(SMALL, magnitude, phase, 2, gradient="none")
        assert not inverter(mel, **options).requires_grad
