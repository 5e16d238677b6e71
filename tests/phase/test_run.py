"""Stages one after the other: best iterates, histories, hooks, stopping and the way back, as if they were one method."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import F64, LOCK_STEP, ZERO, magnitude_of
from tests.problems import TINY_POWER, frame_convention, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.functional import mel_consistent
from torchmelinv.joint.mel_target import mel_target
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.lws import Lws
from torchmelinv.phase.method import Then
from torchmelinv.phase.raar import Raar, raar_then_fast_griffin_lim
from torchmelinv.phase.retrieve import Wanted, retrieve
from torchmelinv.phase.rtisi import RtisiLa

MAGNITUDE = magnitude_of(ZERO, (3,))
NOISY = MAGNITUDE * (0.4 * torch.randn(MAGNITUDE.shape, dtype=F64, generator=torch.Generator().manual_seed(5))).exp()
FAST = GriffinLim(0.99)
METHODS = [GriffinLim(), FAST, AcceleratedGriffinLim(), Admm(), Raar(), raar_then_fast_griffin_lim(), Lws(), RtisiLa()]
EACH = pytest.mark.parametrize("method", METHODS, ids=lambda each: type(each).__name__)
SMALL = frame_convention(n_fft=16, hop_length=4)


def together(iteration: int, state: object) -> None:
    """A hook that does nothing; with one, the items iterate as one batch, as on an accelerator."""


@pytest.mark.parametrize(
    "method",
    [FAST, Then(FAST, GriffinLim(3.0), 0.5), Then(Admm(), Lws(), 0.5), Then(Admm(), GriffinLim(2.0), 0.3), Then(FAST, Raar(), 5)],
)
def test_keep_best_is_never_worse_than_any_iterate_of_any_stage(method):
    solution = retrieve(method, NOISY, ZERO, 20, account=True, keep_best=True)
    assert solution.history.shape == (20, 3)
    assert (solution.residual <= solution.history.amin(0)).all()


def test_a_stage_that_falls_behind_does_not_cost_the_best_iterate():
    """The mel-consistent pull lowers another distance than the residual: here the second stage never gets back to the first's."""
    bank = MelFilterbank(TINY_POWER)
    mel = MelAnalyzer(TINY_POWER).linear(tones(1600, (4,), F64))
    mel = mel * (0.5 * torch.randn(mel.shape, dtype=F64, generator=torch.Generator().manual_seed(2))).exp()
    wanted = Wanted(mel, 2, lambda values, scale: mel_target(values, bank, TINY_POWER, scale, 2, 1.0))
    start = (mel.mT @ torch.linalg.pinv(bank.table).T).mT.relu().sqrt()
    method = Then(Admm(), GriffinLim(2.0), 0.5)
    solution = retrieve(method, start, TINY_POWER, 20, account=True, keep_best=True, wanted=wanted)
    assert (solution.history[10:].amin(0) > solution.history[:10].amin(0)).any()
    assert torch.equal(solution.residual, solution.history.amin(0))


@EACH
@pytest.mark.parametrize("n_iter", [0, 1, 7])
def test_a_history_is_as_long_as_what_was_asked_for_and_ends_with_the_residual(method, n_iter):
    solution = retrieve(method, MAGNITUDE, ZERO, n_iter, account=True)
    assert solution.history.shape == (n_iter, 3)
    assert not solution.converged.any()
    if n_iter:
        torch.testing.assert_close(solution.history[-1], solution.residual, **LOCK_STEP)
    assert torch.equal(solution.waveform, retrieve(method, MAGNITUDE, ZERO, n_iter).waveform)
    found = Frame(ZERO).analyse(solution.waveform).abs()
    torch.testing.assert_close(solution.residual, (found - MAGNITUDE).flatten(1).norm(dim=1) / MAGNITUDE.flatten(1).norm(dim=1))


def test_hooks_count_on_from_stage_to_stage():
    seen = []
    method = Then(Raar(), Then(Admm(), FAST, 2), 3)
    retrieve(method, MAGNITUDE, ZERO, 9, hook=lambda iteration, state: seen.append((iteration, type(state).__name__)))
    names = ["RaarState"] * 3 + ["AdmmState"] * 2 + ["GriffinLimState"] * 4
    assert seen == list(enumerate(names))


@pytest.mark.parametrize("hook", [None, together])
@pytest.mark.parametrize("method", [FAST, AcceleratedGriffinLim(), Admm(), Raar(), Lws()], ids=lambda each: type(each).__name__)
def test_each_item_stops_for_itself_whatever_the_shape_of_the_state(method, hook):
    magnitude = MAGNITUDE.clone()
    magnitude[1] = 0
    options = {"tolerance": 0.1, "account": True}
    solution = retrieve(method, magnitude, ZERO, 60, hook=hook, **options)
    assert solution.converged.all()
    assert solution.steps[0] != solution.steps[2]  # or they would not have stopped for themselves
    assert solution.steps[1] <= min(solution.steps[0], solution.steps[2])
    assert (solution.waveform[1] == 0).all()
    for item in (0, 2):
        alone = retrieve(method, magnitude[item], ZERO, 60, **options)
        assert alone.steps == solution.steps[item]
        torch.testing.assert_close(alone.waveform, solution.waveform[item], **LOCK_STEP)
        stopped = int(alone.steps)
        assert (solution.history[stopped:, item] == solution.history[-1, item]).all()


def test_items_that_stopped_in_one_stage_go_on_in_the_next():
    method = Then(FAST, Admm(), 40)
    solution = retrieve(method, MAGNITUDE, ZERO, 60, tolerance=0.1, account=True, hook=together)
    first = retrieve(FAST, MAGNITUDE, ZERO, 40, tolerance=0.1, account=True)
    assert first.converged.all()
    second = retrieve(Admm(), MAGNITUDE, ZERO, 20, tolerance=0.1, account=True, start_waveform=first.waveform)
    assert torch.equal(solution.steps, first.steps + second.steps)
    torch.testing.assert_close(solution.waveform, second.waveform, **LOCK_STEP)
    assert solution.history.shape == (60, 3)


def gradient_of(method, mode, n_iter: int, **options: object) -> torch.Tensor:
    magnitude = (Frame(SMALL).analyse(tones(80, dtype=F64)).abs() + 0.05).requires_grad_()
    waveform = retrieve(method, magnitude, SMALL, n_iter, gradient=mode, **options).waveform
    return torch.autograd.grad((waveform * tones(80, dtype=F64).flip(-1)).sum(), magnitude)[0]


STAGED = Then(Raar(), FAST, 4)


def test_the_last_k_iterations_are_those_of_the_last_stages():
    """k = all of the second stage: the gradient with the first stage's waveform as something that is given."""
    magnitude = Frame(SMALL).analyse(tones(80, dtype=F64)).abs() + 0.05
    lent = retrieve(Raar(), magnitude, SMALL, 4).waveform
    torch.testing.assert_close(gradient_of(STAGED, 3, 7), gradient_of(FAST, "unrolled", 3, start_waveform=lent))
    torch.testing.assert_close(gradient_of(STAGED, 2, 7), gradient_of(FAST, 2, 3, start_waveform=lent))


def test_an_iteration_more_than_the_second_stage_is_the_last_of_the_first():
    """k = 5 of 4 + 3: also two of RAAR's, the same as where these two stand alone, from the state before them."""
    states = {}
    magnitude = Frame(SMALL).analyse(tones(80, dtype=F64)).abs() + 0.05
    retrieve(Raar(), magnitude, SMALL, 2, hook=lambda i, state: states.update({i: state.spectrum}), account=True)

    class From(Raar):
        """RAAR from the spectrum that it had after two iterations, in the loop's own units as the hook saw it."""

        def init(self, problem, spectrum):
            return super().init(problem, states[1])

    torch.testing.assert_close(gradient_of(STAGED, 5, 7), gradient_of(Then(From(), FAST, 2), "unrolled", 5))


@pytest.mark.parametrize("method", [STAGED, Then(Admm(), STAGED, 2), Lws(), raar_then_fast_griffin_lim()])
def test_as_many_as_there_are_or_more_is_unrolled(method):
    unrolled = gradient_of(method, "unrolled", 8)
    assert unrolled.abs().max() > 0
    for mode in (8, 100):
        torch.testing.assert_close(gradient_of(method, mode, 8), unrolled)


@EACH
def test_checkpointed_is_unrolled(method):
    unrolled, checkpointed = (gradient_of(method, mode, 7) for mode in ("unrolled", "checkpointed"))
    torch.testing.assert_close(checkpointed, unrolled)


@pytest.mark.parametrize("options", [{}, {"tolerance": 0.1, "account": True}, {"keep_best": True, "hook": together}], ids=str)
@EACH
def test_every_mode_goes_the_same_way_there_bit_for_bit(method, options):
    """But for phase_detached, which ends with one projection more."""
    expected = retrieve(method, MAGNITUDE, ZERO, 5, **options).waveform
    leaf = MAGNITUDE.clone().requires_grad_()
    for mode in ("unrolled", "checkpointed", 2, "none"):
        assert torch.equal(retrieve(method, leaf, ZERO, 5, gradient=mode, **options).waveform, expected)


@EACH
def test_no_gradient_is_none_at_all(method):
    """Neither through the start nor through the projection that some methods end with."""
    for n_iter in (0, 3):
        waveform = retrieve(method, MAGNITUDE[0].clone().requires_grad_(), ZERO, n_iter, gradient="none").waveform
        assert not waveform.requires_grad
        assert torch.equal(waveform, retrieve(method, MAGNITUDE[0], ZERO, n_iter).waveform)


@EACH
def test_phase_detached_is_the_derivative_at_the_phase_that_was_found(method):
    found = retrieve(method, MAGNITUDE[0], ZERO, 4).waveform
    phase = Frame(ZERO).analyse(found).sgn()
    magnitude = MAGNITUDE[0].clone().requires_grad_()
    waveform = retrieve(method, magnitude, ZERO, 4, gradient="phase_detached").waveform
    torch.testing.assert_close(waveform, Frame(ZERO).synthesise(magnitude * phase), **LOCK_STEP)
    direction = torch.rand_like(magnitude)
    (gradient,) = torch.autograd.grad(waveform.square().sum(), magnitude)
    expected = 2 * (waveform.detach() * Frame(ZERO).synthesise(direction * phase)).sum()
    torch.testing.assert_close((gradient * direction).sum(), expected)


@pytest.mark.parametrize("method", [AcceleratedGriffinLim(), Admm(), STAGED])
def test_phase_detached_where_a_mel_is_wanted(method):
    """One pull towards the mel, from a spectrum that is given, carries the whole gradient."""
    convention = TINY_POWER.replace(n_fft=64, hop_length=16, n_mels=8)
    mel = MelAnalyzer(convention).linear(tones(320, dtype=F64))
    found = mel_consistent(mel, convention, 6, method)
    target = mel_target(mel.mT[None], MelFilterbank(convention), convention, torch.ones(1, 1, 1, dtype=F64), 2, 1.0)

    def once(values: torch.Tensor) -> torch.Tensor:
        given = Frame(convention).analyse(found).mT[None]
        return Frame(convention).synthesise(target._replace(values=values.mT[None]).impose(given)[0].mT)

    leaf = mel.clone().requires_grad_()
    waveform = mel_consistent(leaf, convention, 6, method, gradient="phase_detached")
    torch.testing.assert_close(waveform, once(mel), **LOCK_STEP)
    other = mel.clone().requires_grad_()
    for answer in (waveform, once(other)):
        (answer * tones(320, dtype=F64).flip(-1)).sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad, atol=1e-8 * float(other.grad.abs().max()), rtol=1e-6)


def test_the_history_does_not_depend_on_the_batch_nor_end_on_another_iterate():
    """Each stage has its place in the history, whether all its items stopped early or not."""
    for method in (Then(GriffinLim(), FAST, 20), FAST):
        options = {"tolerance": 0.1, "account": True, "keep_best": True}
        together_, alone = (retrieve(method, MAGNITUDE, ZERO, 40, hook=hook, **options) for hook in (together, None))
        torch.testing.assert_close(together_.history, alone.history, **LOCK_STEP)
        assert torch.equal(alone.history[-1], alone.history[-2])
