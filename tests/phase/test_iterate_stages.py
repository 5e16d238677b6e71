"""Stages behave as one method: diagnostics, hooks, stopping and gradient modes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from tests.phase.papers import F64, LOCK_STEP, ZERO, magnitude_of
from tests.problems import TINY_POWER, stft_convention, tones
from tests.solve import MAGNITUDE_PHASES, solve, solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.phase.mel_target import mel_target
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.phase.target import MelData
from torchmelinv.phases import (
    ADMM,
    LWS,
    RAAR,
    RTISILA,
    AcceleratedGriffinLim,
    GriffinLim,
    MelConsistent,
    Then,
)
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT


def noisy(values: Tensor, sigma: float, seed: int) -> Tensor:
    """Return the values times log-normal noise."""
    generator = torch.Generator().manual_seed(seed)
    return values * (sigma * torch.randn(values.shape, dtype=F64, generator=generator)).exp()


MAGNITUDE = magnitude_of(ZERO, (3,))
NOISY = noisy(MAGNITUDE, 0.4, seed=5)
FAST = GriffinLim(0.99)
# Every method, RAAR alone, and LWS after RTISI-LA.
METHODS = [
    *(method() for method in MAGNITUDE_PHASES.values()),
    RAAR(after=None),
    LWS(rtisi_iter=1),
]
# Methods whose iterations are steps of one stage.
ONE_STAGE = [
    method for method in METHODS if len(method.stages(60)) == 1 and not isinstance(method, RTISILA)
]
EACH = pytest.mark.parametrize("method", METHODS, ids=str)
SMALL = stft_convention(n_fft=16, hop_length=4)
STAGED = Then(RAAR(after=None), FAST, 4)


def no_op_hook(iteration: int, state: object) -> None:
    """Do nothing. With a hook the items iterate as one batch, as on an accelerator."""


@pytest.mark.parametrize(
    "method",
    [
        FAST,
        Then(FAST, GriffinLim(3.0), 0.5),
        Then(ADMM(), LWS(rtisi_iter=1), 0.5),
        Then(ADMM(), GriffinLim(2.0), 0.3),
        Then(FAST, RAAR(after=None), 5),
    ],
    ids=str,
)
def test_keep_best_is_never_worse_than_any_iterate_of_any_stage(method):
    solution = solve(method, NOISY, ZERO, 20, return_info=True, keep_best=True)
    assert solution.history.shape == (20, 3)
    assert (solution.residual <= solution.history.amin(0)).all()


def test_keep_best_returns_the_first_stages_best_iterate_if_the_second_is_worse():
    """The mel updates lower another distance than the residual.

    In this problem the second stage does not reach the residual of the first one again.
    """
    filterbank = MelFilterbank(TINY_POWER)
    linear_mel = MelSpectrogram(TINY_POWER).linear_mel(tones(1600, (4,), F64))
    linear_mel = noisy(linear_mel, 0.5, seed=2)
    initial = (linear_mel.mT @ torch.linalg.pinv(filterbank.table).T).mT.relu().sqrt()
    solution = reconstruct(
        MelConsistent(Then(ADMM(), GriffinLim(2.0), 0.5)),
        initial,
        STFT(TINY_POWER),
        20,
        init="random",
        return_info=True,
        keep_best=True,
        mel=LinearMel(linear_mel, filterbank, TINY_POWER),
    )
    assert (solution.history[10:].amin(0) > solution.history[:10].amin(0)).any()
    assert torch.equal(solution.residual, solution.history.amin(0))


@EACH
@pytest.mark.parametrize("n_iter", [0, 1, 7])
def test_the_history_has_n_iter_entries_and_ends_with_the_residual(method, n_iter):
    solution = solve(method, MAGNITUDE, ZERO, n_iter, return_info=True)
    assert solution.history.shape == (n_iter, 3)
    assert not solution.converged.any()
    if n_iter:
        torch.testing.assert_close(solution.history[-1], solution.residual, **LOCK_STEP)
    assert torch.equal(solution.waveform, solve(method, MAGNITUDE, ZERO, n_iter).waveform)
    error = STFT(ZERO)(solution.waveform).abs() - MAGNITUDE
    expected = error.flatten(1).norm(dim=1) / MAGNITUDE.flatten(1).norm(dim=1)
    torch.testing.assert_close(solution.residual, expected)


def test_hooks_count_iterations_across_stages():
    calls = []

    def hook(iteration, state):
        calls.append((iteration, type(state).__name__))

    solve(Then(RAAR(after=None), Then(ADMM(), FAST, 2), 3), MAGNITUDE, ZERO, 9, hook=hook)
    names = ["RAARState"] * 3 + ["ADMMState"] * 2 + ["GriffinLimState"] * 4
    assert calls == list(enumerate(names))


@pytest.mark.parametrize("hook", [None, no_op_hook])
@pytest.mark.parametrize("method", ONE_STAGE, ids=str)
def test_items_stop_independently_with_any_state(method, hook):
    magnitude = MAGNITUDE.clone()
    magnitude[1] = 0
    options = {"tolerance": 0.1, "return_info": True}
    solution = solve(method, magnitude, ZERO, 60, hook=hook, **options)
    assert solution.converged.all()
    assert solution.n_iter[0] != solution.n_iter[2]  # else they may have stopped together
    assert solution.n_iter[1] <= min(solution.n_iter[0], solution.n_iter[2])
    assert (solution.waveform[1] == 0).all()
    for item in (0, 2):
        alone = solve(method, magnitude[item], ZERO, 60, **options)
        assert alone.n_iter == solution.n_iter[item]
        torch.testing.assert_close(alone.waveform, solution.waveform[item], **LOCK_STEP)
        stopped = int(alone.n_iter)
        assert (solution.history[stopped:, item] == solution.history[-1, item]).all()


def test_items_that_stopped_in_one_stage_iterate_again_in_the_next():
    method = Then(FAST, ADMM(), 40)
    options = {"tolerance": 0.1, "return_info": True}
    solution = solve(method, MAGNITUDE, ZERO, 60, hook=no_op_hook, **options)
    first = solve(FAST, MAGNITUDE, ZERO, 40, **options)
    assert first.converged.all()
    second = solve(ADMM(), MAGNITUDE, ZERO, 20, init_waveform=first.waveform, **options)
    assert torch.equal(solution.n_iter, first.n_iter + second.n_iter)
    torch.testing.assert_close(solution.waveform, second.waveform, **LOCK_STEP)
    assert solution.history.shape == (60, 3)


def small_magnitude() -> Tensor:
    return STFT(SMALL)(tones(80, dtype=F64)).abs() + 0.05


def gradient_of(method, mode: str | int, n_iter: int, **options: object) -> Tensor:
    magnitude = small_magnitude().requires_grad_()
    waveform = solve(method, magnitude, SMALL, n_iter, gradient=mode, **options).waveform
    return torch.autograd.grad((waveform * tones(80, dtype=F64).flip(-1)).sum(), magnitude)[0]


def test_the_last_k_iterations_belong_to_the_last_stage():
    """For k up to the second stage's iterations, the first stage's waveform is a constant."""
    init_waveform = solve(RAAR(after=None), small_magnitude(), SMALL, 4).waveform
    for k, mode in ((3, "unrolled"), (2, 2)):
        expected = gradient_of(FAST, mode, 3, init_waveform=init_waveform)
        torch.testing.assert_close(gradient_of(STAGED, k, 7), expected)


def test_k_beyond_the_last_stage_reaches_into_the_first():
    """k = 5 of 4 + 3 iterations: the last two of RAAR, from its state after two."""
    states = []

    def keep_spectrum(_, state):
        states.append(state.spectrum)

    solve(RAAR(after=None), small_magnitude(), SMALL, 2, hook=keep_spectrum, return_info=True)

    @dataclasses.dataclass(frozen=True)
    class ResumedRAAR(RAAR):
        """RAAR from its state after two iterations, as the hook received it."""

        def init(self, problem, spectrum):
            return super().init(problem, states[1])

    expected = gradient_of(Then(ResumedRAAR(after=None), FAST, 2), "unrolled", 5)
    torch.testing.assert_close(gradient_of(STAGED, 5, 7), expected)


@pytest.mark.parametrize(
    "method", [STAGED, Then(ADMM(), STAGED, 2), LWS(rtisi_iter=1), RAAR()], ids=str
)
def test_k_of_all_iterations_or_more_is_unrolled(method):
    unrolled = gradient_of(method, "unrolled", 8)
    assert unrolled.abs().max() > 0
    for mode in (8, 100):
        torch.testing.assert_close(gradient_of(method, mode, 8), unrolled)


@EACH
def test_checkpointed_gradients_equal_unrolled_ones(method):
    unrolled, checkpointed = (gradient_of(method, mode, 7) for mode in ("unrolled", "checkpointed"))
    torch.testing.assert_close(checkpointed, unrolled)


@pytest.mark.parametrize(
    "options",
    [{}, {"tolerance": 0.1, "return_info": True}, {"keep_best": True, "hook": no_op_hook}],
    ids=["plain", "tolerance", "keep_best"],
)
@EACH
def test_waveforms_are_bit_identical_in_all_gradient_modes(method, options):
    """Except "phase_detached", which ends with another projection."""
    expected = solve(method, MAGNITUDE, ZERO, 5, **options).waveform
    magnitude = MAGNITUDE.clone().requires_grad_()
    for mode in ("unrolled", "checkpointed", 2, "none"):
        waveform = solve(method, magnitude, ZERO, 5, gradient=mode, **options).waveform
        assert torch.equal(waveform, expected)


@EACH
def test_mode_none_passes_no_gradient(method):
    """Neither through the initial spectrum nor through the final projection of some methods."""
    for n_iter in (0, 3):
        magnitude = MAGNITUDE[0].clone().requires_grad_()
        waveform = solve(method, magnitude, ZERO, n_iter, gradient="none").waveform
        assert not waveform.requires_grad
        assert torch.equal(waveform, solve(method, MAGNITUDE[0], ZERO, n_iter).waveform)


@EACH
def test_phase_detached_is_the_derivative_at_the_final_phase(method):
    stft = STFT(ZERO)
    phase = stft(solve(method, MAGNITUDE[0], ZERO, 4).waveform).sgn()
    magnitude = MAGNITUDE[0].clone().requires_grad_()
    waveform = solve(method, magnitude, ZERO, 4, gradient="phase_detached").waveform
    torch.testing.assert_close(waveform, stft.inverse(magnitude * phase), **LOCK_STEP)
    direction = torch.rand_like(magnitude)
    (gradient,) = torch.autograd.grad(waveform.square().sum(), magnitude)
    expected = 2 * (waveform.detach() * stft.inverse(direction * phase)).sum()
    torch.testing.assert_close((gradient * direction).sum(), expected)


@pytest.mark.parametrize("method", [AcceleratedGriffinLim(), ADMM(), STAGED], ids=str)
def test_phase_detached_with_a_mel_target(method):
    """The whole gradient passes one update toward the mel, from a constant spectrum."""
    convention = TINY_POWER.replace(n_fft=64, hop_length=16, n_mels=8)
    stft, method = STFT(convention), MelConsistent(method)
    mel = MelSpectrogram(convention).linear_mel(tones(320, dtype=F64))
    spectrum = stft(solve_mel(method, mel, convention, 6).waveform).mT[None]
    scale = torch.ones(1, 1, 1, dtype=F64)
    data = MelData(mel.mT[None], scale, MelFilterbank(convention), convention)
    target = mel_target(data, method.inner_iter, method.damping)

    def project_once(mel: Tensor) -> Tensor:
        values = target.tables.edges.extend(mel.mT[None])
        imposed = target.with_values(values).impose(spectrum.clone())
        return stft.inverse(imposed[0].mT)

    leaf, expected_leaf = mel.clone().requires_grad_(), mel.clone().requires_grad_()
    waveform = solve_mel(method, leaf, convention, 6, gradient="phase_detached").waveform
    torch.testing.assert_close(waveform, project_once(mel), **LOCK_STEP)
    for result in (waveform, project_once(expected_leaf)):
        (result * tones(320, dtype=F64).flip(-1)).sum().backward()
    expected = expected_leaf.grad
    atol = 1e-8 * float(expected.abs().max())
    torch.testing.assert_close(leaf.grad, expected, atol=atol, rtol=1e-6)


def test_histories_do_not_depend_on_the_batch():
    """Each stage has its place in the history, even if all its items stopped early."""
    for method in (Then(GriffinLim(), FAST, 20), FAST):
        options = {"tolerance": 0.1, "return_info": True, "keep_best": True}
        as_batch, by_item = (
            solve(method, MAGNITUDE, ZERO, 40, hook=hook, **options) for hook in (no_op_hook, None)
        )
        torch.testing.assert_close(as_batch.history, by_item.history, **LOCK_STEP)
        assert torch.equal(by_item.history[-1], by_item.history[-2])
