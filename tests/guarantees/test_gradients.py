"""Gradients through the inversion: finite differences where a mode is the derivative, plain autograd of the papers where not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.phase.papers import F64, PADDED, Projections, accelerated, admm, istft, magnitude_of, mel_pull, raar, stft
from tests.problems import DEFICIENT, tones
from torchmelinv.analysis import MelAnalyzer, take_back_offset
from torchmelinv.conventions import PADDINGS, Level, MelConvention
from torchmelinv.errors import InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.functional import entropic, fast_griffin_lim, mel_consistent, start_angles
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.phase.lws import weighted_sums
from torchmelinv.phase.retrieve import retrieve
from torchmelinv.phases import AcceleratedGriffinLim, Admm, GriffinLim, Lws, MelConsistent, Raar, RtisiLa, Then

SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4, filter_norm=None)
KALDI = {"padding": "none", "window": "povey", "window_align": "left", "win_length": 14, "pre_emphasis": 0.97, "remove_dc": True}
FRAMES = {
    **{padding: SMALL.replace(padding=padding) for padding in PADDINGS},
    "odd": SMALL.replace(n_fft=17, win_length=14, hop_length=5, window_normalized=True, padding="same_reflect_win"),
    "kaldi": SMALL.replace(**KALDI),
    "drop last": SMALL.replace(drop_last_frame=True),
}
STAGED = Then(Raar(), GriffinLim(0.99), 2)
METHODS = [
    *(GriffinLim(momentum) for momentum in (0.0, 0.99, 1.3)),
    *(AcceleratedGriffinLim(), Admm(), Raar(), STAGED, Lws(bins=3), Lws(bins=3, alpha=1.0), RtisiLa()),
]


def is_derivative(function: Callable[[Tensor], Tensor], values: Tensor, eps: float = 1e-7) -> bool:
    """Autograd against central differences along random directions; off by 1e-5 of the steepest at most.

    Values of size 1 move by 1e-7: what is left is the square of that, and rounding of 1e-16 / 1e-7 grown by the iterations.
    """
    leaf = values.detach().requires_grad_()
    with torch.no_grad():
        weights = torch.randn_like(function(leaf))
    (gradient,) = torch.autograd.grad((function(leaf) * weights).sum(), leaf)
    worst = 0.0
    for _ in range(3):
        way = torch.randn_like(leaf)
        with torch.no_grad():
            rise = ((function(leaf + eps * way) - function(leaf - eps * way)) * weights).sum() / (2 * eps)
        worst = max(worst, float((rise - (gradient * way).sum()).abs() / (gradient.norm() * way.norm())))
    return 0 < gradient.norm() < math.inf and worst < 1e-5


def magnitude_at(convention: MelConvention, items: tuple[int, ...] = (2,)) -> Tensor:
    return (Frame(convention).analyse(tones(52, items, F64)).abs() + 0.05)[..., :9]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_unrolled_is_the_derivative_for_every_frame_and_padded_batch(frame, method):
    magnitude = magnitude_at(frame)
    n_iter, lengths = 2 if isinstance(method, RtisiLa) else 4, torch.tensor([9, 6])  # there, of each frame's buffer
    start = "random" if frame.padding.startswith("center") else "zero"
    function = lambda m: retrieve(method, m, frame, n_iter, lengths=lengths, start=start).waveform  # noqa: E731
    assert is_derivative(function, magnitude)
    leaf = magnitude.requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf).square().sum(), leaf)
    assert (gradient[1, :, 6:] == 0).all()


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_lent_phase_is_differentiated_where_all_iterations_are(method):
    """The gradient by `start_waveform`; the last k iterations know it as little as they know the ones before them."""
    magnitude, lent = magnitude_at(SMALL, ()), tones(32, dtype=F64).flip(-1) + 0.1 * torch.randn(32, dtype=F64)
    found = lambda lent, mode: retrieve(method, magnitude, SMALL, 3, start_waveform=lent, gradient=mode).waveform  # noqa: E731
    leaf = lent.clone().requires_grad_()
    if isinstance(method, RtisiLa):  # which does not look at its start
        assert not found(leaf, "unrolled").requires_grad
    else:
        assert is_derivative(lambda lent: found(lent, "unrolled"), lent)
        assert not any(found(leaf, mode).requires_grad for mode in (1, 2, "phase_detached", "none"))


# name: the record, and its paper's recursion (start, sets, n_iter, last) in plain torch
def _fast(start: Tensor, sets: Projections, n_iter: int, last: float, momentum: float = 0.99) -> Tensor:
    return accelerated(start, sets, n_iter, momentum, momentum, 1.0, last)


def _staged(start: Tensor, sets: Projections, n_iter: int, last: float) -> Tensor:
    later = n_iter - 2
    signal = raar(start, sets, 2, 0.9, last - later)
    return _fast(sets.impose(sets.forward(signal if last > later else signal.detach())), sets, later, last)


def _lws(start: Tensor, sets: Projections, n_iter: int, last: float) -> Tensor:
    c = start
    for iteration in range(n_iter):
        c = c.detach() if 0 < iteration == n_iter - last else c
        c = sets.impose(weighted_sums(c.mT[None], PAPERS, 3)[0].mT)  # linear, and loops in tests/phase/test_lws.py
    return sets.inverse(c)


PAPERS = MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=12, filter_norm=None).frame
RECURSIONS = {
    "griffin_lim": (GriffinLim(), lambda *problem: _fast(*problem, 0.0)),
    "fast": (GriffinLim(0.99), _fast),
    "accelerated": (AcceleratedGriffinLim(0.9, 0.8, 1.1), lambda *p: accelerated(*p[:3], 0.9, 0.8, 1.1, p[3])),
    "admm": (Admm(0.1), lambda *p: admm(*p[:3], 0.1, p[3])),
    "raar": (Raar(0.9), lambda *p: raar(*p[:3], 0.9, p[3])),
    "then": (STAGED, _staged),
    "lws": (Lws(bins=3), _lws),
}
MODES = {"unrolled": math.inf, "checkpointed": math.inf, 1: 1, 2: 2, 3: 3, 4: math.inf, 9: math.inf}  # of four iterations


def modes_agree(found: Callable[[str | int], Tensor], expected: Callable[[float], Tensor], leaf: Tensor) -> None:
    """Each mode's gradient is that of plain autograd, to 1e-8 of its largest entry."""
    weights = torch.randn_like(found("none"))
    slope = lambda answer: torch.autograd.grad((answer * weights).sum(), leaf, retain_graph=True)[0]  # noqa: E731
    slopes = {last: slope(expected(last)) for last in set(MODES.values())}
    for mode, last in MODES.items():
        assert (slope(found(mode)) - slopes[last]).abs().max() < 1e-8 * slopes[last].abs().max() < math.inf, mode


@pytest.mark.parametrize("name", RECURSIONS)
@PADDED
def test_each_mode_is_autograd_of_the_papers_recursion(convention, name):
    method, recursion = RECURSIONS[name]
    leaf = (magnitude_of(convention) + 0.01).requires_grad_()
    angles = 2 * torch.pi * torch.rand(leaf.shape, dtype=F64)
    sets = Projections(lambda c: leaf * c.sgn(), lambda x: stft(x, convention), istft)
    found = lambda mode: retrieve(method, leaf, convention, 4, start=angles, gradient=mode).waveform  # noqa: E731
    modes_agree(found, lambda last: recursion(torch.polar(leaf, angles), sets, 4, last), leaf)


@pytest.mark.parametrize("name", RECURSIONS)
@pytest.mark.parametrize("changes", [{"magnitude_offset": 1e-3}, {"power": 2}], ids=str)
def test_each_mode_is_autograd_of_the_recursion_with_the_mels_pull(changes, name):
    """The start's magnitude is the entropic one, whose own gradient is compared with finite differences elsewhere."""
    method, recursion = RECURSIONS[name]
    convention = MelConvention(sample_rate=8000, n_mels=12, filter_norm=None, **PAPERS.replace(padding="center_zero").to_dict())
    convention = convention.replace(**changes)
    leaf = MelAnalyzer(convention).linear(tones(480, dtype=F64)).requires_grad_()
    magnitude = take_back_offset(entropic(leaf, MelFilterbank(convention)), convention)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    sets = Projections(mel_pull(leaf, convention, 2, 0.8), lambda x: stft(x, convention), istft)
    found = lambda mode: mel_consistent(leaf, convention, 4, method, agreement=0.8, start=angles, gradient=mode)  # noqa: E731
    modes_agree(found, lambda last: recursion(torch.polar(magnitude, angles), sets, 4, last), leaf)


LEVELS = [
    Level(log="ln", floor=1e-5),
    Level(log="ln", offset=1e-3),
    Level(log="log10", floor=1e-5, multiplier=20, shift=-20, affine=(-50, 50), clip=(-0.8, 0.8)),
    Level(log="log10", floor=1e-10, dynamic_range=1.5, affine=(-4, 4)),
    Level(log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=30),
    Level(log="ln", floor=1e-5, band_mean=(-4.0, -3.0, -2.0, -1.0), band_scale=(2.0, 1.0, 0.5, 3.0)),
]
ROOTS = [
    *({"power": power, "level": LEVELS[0]} for power in (1, 2, 0.7)),
    *({"power": power, "magnitude_offset": 1e-2} for power in (1, 2, 0.7)),
    *({"power": power, "magnitude_floor": 1e-2} for power in (1, 2, 0.7)),
]


@pytest.mark.parametrize("phase", ["fast_griffin_lim", "mel_consistent"])
@pytest.mark.parametrize("changes", [*({"level": level} for level in LEVELS), *ROOTS], ids=str)
def test_the_whole_path_is_the_derivative_both_ways(changes, phase):
    """Waveform to mel, where floors, ranges and clips cut some values off, and mel to waveform; a padded batch."""
    convention = SMALL.replace(padding="same_reflect", **changes)
    analyzer, waveform = MelAnalyzer(convention), 2 * tones(36, (2,), F64)
    assert is_derivative(lambda w: analyzer(w, lengths=torch.tensor([36, 25])), waveform)
    inverter = MelInverter(convention, phase=phase, n_iter=3, start="random", check=False)
    assert is_derivative(lambda mel: inverter(mel, lengths=torch.tensor([9, 6])), analyzer(waveform))


@pytest.mark.parametrize(("phase", "power"), [("mel_consistent", 1), ("raar", 2), (MelConsistent(Admm()), 0.7)])
def test_the_whole_path_is_the_derivative_where_bands_share_bins(phase, power):
    """A noisy mel: its regularised optimum is smooth, and beside a mel that some spectrum has lie those that none has."""
    convention = DEFICIENT.replace(power=power)
    mel = MelAnalyzer(convention).linear(tones(60, dtype=F64))
    mel = mel * torch.randn_like(mel).exp()
    assert is_derivative(MelInverter(convention, phase=phase, n_iter=2, start="random"), mel)


@pytest.mark.parametrize("start", ["spsi", "pghi"])
def test_a_start_that_is_read_off_counts_as_given(start):
    frame = SMALL.frame
    magnitude = magnitude_at(SMALL, ()).requires_grad_()
    gradients = [
        torch.autograd.grad(fast_griffin_lim(magnitude, frame, 2, start=each).square().sum(), magnitude)[0]
        for each in (start, start_angles(magnitude, frame, start))
    ]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("magnitude", ["transpose", "entropic", "least_distance"])
def test_second_derivatives_of_magnitudes(magnitude):
    mel = MelAnalyzer(SMALL)(tones(40, dtype=F64)).requires_grad_()
    assert torch.autograd.gradgradcheck(MelInverter(SMALL, magnitude).to_magnitude, mel)


@pytest.mark.parametrize("magnitude", ["transpose", "entropic", "least_distance"])
@pytest.mark.parametrize("phase", sorted(set(PHASES) - {"mel_consistent"}))
def test_a_gradient_that_is_to_be_differentiated_again_is_the_gradient(phase, magnitude):
    """Of which `gradgradcheck` says nothing: it differentiates whatever comes under create_graph."""
    mel = MelAnalyzer(SMALL)(tones(40, dtype=F64)).requires_grad_()
    answer = MelInverter(SMALL, magnitude, phase, 3, start="random")(mel).square().sum()
    (once,) = torch.autograd.grad(answer, mel, retain_graph=True)
    (again,) = torch.autograd.grad(answer, mel, create_graph=True)
    torch.testing.assert_close(again.detach(), once, rtol=1e-8, atol=1e-10 * float(once.abs().max()))


@pytest.mark.parametrize("phase", sorted(set(PHASES) - {"mel_consistent"}))
def test_second_derivatives_of_phases(phase):
    mel = MelAnalyzer(SMALL)(tones(40, dtype=F64)).requires_grad_()
    assert torch.autograd.gradgradcheck(MelInverter(SMALL, "transpose", phase, 1, start="random"), mel)


@pytest.mark.parametrize("mode", ["unrolled", "checkpointed", 1, "phase_detached"])
def test_second_derivatives_of_the_joint_iteration_are_refused(mode):
    mel = MelAnalyzer(SMALL)(tones(40, dtype=F64)).requires_grad_()
    answer = MelInverter(SMALL, "transpose", "mel_consistent", 2, gradient=mode)(mel)
    with pytest.raises(InputError, match="no second derivative; call backward or grad without create_graph=True"):
        torch.autograd.grad(answer.square().sum(), mel, create_graph=True)


@pytest.mark.parametrize("phase", PHASES)
def test_none_passes_nothing(phase):
    mel, lent = (each.requires_grad_() for each in (MelAnalyzer(SMALL)(tones(40)), tones(40)))
    for magnitude in MAGNITUDES if phase == "mel_consistent" else ["entropic"]:
        assert not MelInverter(SMALL, magnitude, phase, 2, gradient="none")(mel, start_waveform=lent).requires_grad
