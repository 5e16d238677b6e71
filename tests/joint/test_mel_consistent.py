"""Mel-consistent inversion: in lock-step with dense matrices, what stays, what it is worth, and how it is asked for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.phase.papers import F64, LOCK_STEP, STEPS, Projections, accelerated, admm, istft, mel_pull, stft
from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer, take_back_offset
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.functional import entropic, mel_consistent, mel_error_db
from torchmelinv.invert import PHASES, MelInverter
from torchmelinv.joint.mel_consistent import MelConsistent
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.lws import Lws
from torchmelinv.phase.method import Then
from torchmelinv.phase.rtisi import RtisiLa

ZERO = TINY.replace(n_fft=64, hop_length=16, n_mels=12, padding="center_zero")
CONVENTIONS = pytest.mark.parametrize(
    "convention",
    [
        ZERO,
        ZERO.replace(padding="center_reflect"),
        ZERO.replace(power=2),
        ZERO.replace(power=0.7, magnitude_offset=1e-3),
        ZERO.replace(n_mels=30, mel_scale="htk", filter_norm=None),  # bands without a bin
    ],
    ids=["magnitude", "reflect", "power", "offset", "deficient"],
)
N_SAMPLES = 480
# fast, accelerated and ADMM: the record, and its paper's recursion with the mel's pull for P_A
FORMS = {
    "fast": (GriffinLim(0.99), lambda *problem: accelerated(*problem, 0.99, 0.99, 1.0)),
    "accelerated": (AcceleratedGriffinLim(0.9, 0.8, 1.1), lambda *problem: accelerated(*problem, 0.9, 0.8, 1.1)),
    "admm": (Admm(0.1), lambda *problem: admm(*problem, 0.1)),
}


def linear(convention: MelConvention, items: tuple[int, ...] = (), n_samples: int = N_SAMPLES) -> Tensor:
    return MelAnalyzer(convention).linear(tones(n_samples, items, F64))


def error(waveform: Tensor, mel: Tensor, convention: MelConvention) -> Tensor:
    return mel_error_db(MelAnalyzer(convention).linear(waveform), mel)


@pytest.mark.parametrize(("sweeps", "agreement"), [(2, 1.0), (3, 0.4)])
@pytest.mark.parametrize("form", FORMS)
@CONVENTIONS
def test_lock_step_with_dense_matrices(convention, form, sweeps, agreement):
    method, recursion = FORMS[form]
    mel = linear(convention)
    magnitude = take_back_offset(entropic(mel, MelFilterbank(convention)), convention)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    sets = Projections(mel_pull(mel, convention, sweeps, agreement), lambda x: stft(x, convention), istft)
    for n_iter in STEPS:
        ours = mel_consistent(mel, convention, n_iter, method, sweeps, agreement, start=angles)
        expected = recursion(torch.polar(magnitude, angles), sets, n_iter)
        torch.testing.assert_close(ours, expected, **LOCK_STEP)


@pytest.mark.parametrize("method", [GriffinLim(), GriffinLim(0.99), AcceleratedGriffinLim()])
def test_no_iterations_is_the_entropic_magnitude_at_the_start(method):
    mel = linear(TINY, (2,))
    found = mel_consistent(mel, TINY, 0, method, start="zero")
    torch.testing.assert_close(found, Frame(TINY).synthesise(entropic(mel, MelFilterbank(TINY)) + 0j))
    torch.testing.assert_close(found, MelInverter(TINY, phase="griffin_lim", n_iter=0, start="zero")(mel))


def test_no_iterations_of_a_splitting_is_the_start_pulled_once_to_a_mel_that_it_has_already():
    mel = linear(TINY)
    found = mel_consistent(mel, TINY, 0, Admm(), start="zero")
    expected = mel_consistent(mel, TINY, 0, start="zero")
    assert (found - expected).norm() < 1e-4 * expected.norm()  # the entropic magnitude has the mel to 1e-5


@pytest.mark.parametrize("method", [AcceleratedGriffinLim(), Admm(), PHASES["raar"]()])
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_from_the_truth_it_stays_near_the_mel(convention, method):
    """The true phase at the entropic magnitude is all that is lent; what is left of the mel's error is below 2 per cent."""
    waveform = tones(1600, (2,), F64)
    mel = MelAnalyzer(convention).linear(waveform)
    options = {"start_waveform": waveform, "length": 1600}
    before, after = (mel_consistent(mel, convention, n_iter, method, **options) for n_iter in (0, 30))
    assert (error(after, mel, convention) < -34).all()
    assert (error(after, mel, convention) < error(before, mel, convention) - 6).all()


@pytest.mark.parametrize("method", [GriffinLim(0.99), AcceleratedGriffinLim(), Admm()])
@pytest.mark.parametrize(("convention", "start"), [(TINY, "random"), (TINY, "pghi"), (TINY_POWER, "pghi")])
def test_it_beats_the_cascade_of_as_many_iterations(convention, start, method):
    """At power 2 from random phases it does not within 32: what is loud is found first."""
    mel = linear(convention, (3,), 1600)
    joint, cascade = (
        MelInverter(convention, phase=phase, n_iter=32, start=start)(mel) for phase in (MelConsistent(method), method)
    )
    assert (error(joint, mel, convention) < error(cascade, mel, convention) - 1.5).all()


def test_iterations_and_sweeps_pay():
    mel = linear(TINY, (3,), 1600)
    errors = [error(mel_consistent(mel, TINY, n_iter), mel, TINY).mean() for n_iter in (0, 4, 16, 64)]
    assert errors == sorted(errors, reverse=True)
    one, two = (error(mel_consistent(mel, TINY, 16, sweeps=sweeps), mel, TINY).mean() for sweeps in (1, 2))
    assert two < one


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
def test_less_agreement_pulls_less_and_is_less_inconsistent(convention):
    """From the same waveform, one plain step: the more is taken of the pull, the nearer the mel and the farther from before."""
    waveform, mel = tones(1600, (), F64), linear(convention, (2,), 1600)[1]
    moved, errors = [], []
    for agreement in (0.1, 0.4, 1.0):
        numbers = {"sweeps": 1, "agreement": agreement}
        start, once = (mel_consistent(mel, convention, n, GriffinLim(), **numbers, start_waveform=waveform) for n in (0, 1))
        moved.append(float((once - start).norm()))
        errors.append(float(error(mel_consistent(mel, convention, 10, GriffinLim(), **numbers), mel, convention)))
    assert moved == sorted(moved)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_the_function_is_the_phase_by_its_name(convention):
    mel = linear(convention, (2,))
    inverter = MelInverter(convention, phase="mel_consistent", n_iter=6)
    values = MelAnalyzer(convention)(tones(N_SAMPLES, (2,), F64))
    torch.testing.assert_close(inverter(values), mel_consistent(mel, convention, 6), atol=1e-8, rtol=0)
    lent = tones(N_SAMPLES, (2,), F64).flip(-1)
    options = {"lengths": torch.tensor([mel.shape[-1], 9]), "length": 300, "start_waveform": lent}
    torch.testing.assert_close(inverter(values, **options), mel_consistent(mel, convention, 6, **options), atol=1e-8, rtol=0)


@pytest.mark.parametrize("hook", [None, lambda iteration, state: None])
@pytest.mark.parametrize("method", [AcceleratedGriffinLim(), Admm(), Lws(), RtisiLa()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER.replace(padding="none"), TINY_LOG])
def test_items_of_a_padded_batch_are_as_if_alone(convention, method, hook):
    mel = linear(convention, (3,))
    lengths = [mel.shape[-1], 8, 3]
    mel[1, :, 8:] = 7  # whatever stands there
    batch = mel_consistent(mel, convention, 5, method, lengths=torch.tensor(lengths), hook=hook)
    for item, count, waveform in zip(mel, lengths, batch, strict=True):
        alone = mel_consistent(item[:, :count], convention, 5, method)
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()


def test_items_are_bit_for_bit_alone():
    mel = linear(TINY, (2, 2)).float()
    batch = mel_consistent(mel, TINY, 5)
    assert all(torch.equal(batch[i, j], mel_consistent(mel[i, j], TINY, 5)) for i in range(2) for j in range(2))


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
def test_scale_follows_the_power(convention):
    mel = linear(convention)
    expected = mel_consistent(mel, convention, 4)
    for scale in (1e-8, 3.7, 1e8):
        found = mel_consistent(scale * mel, convention, 4) / scale ** (1 / convention.power)
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_account_is_about_the_mel():
    mel = linear(TINY, (2,))
    solution = MelInverter(TINY, phase="mel_consistent", n_iter=9).solve(mel)
    again = MelAnalyzer(TINY).linear(solution.waveform)
    expected = (again - mel).flatten(1).norm(dim=1) / mel.flatten(1).norm(dim=1)
    torch.testing.assert_close(solution.residual, expected)
    torch.testing.assert_close(solution.history[-1], expected)


def test_silence_and_second_derivatives():
    assert (mel_consistent(torch.zeros(2, 16, 9), TINY, 3) == 0).all()
    mel = linear(TINY).requires_grad_()
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(mel_consistent(mel, TINY, 2).square().sum(), mel, create_graph=True)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
@pytest.mark.parametrize("method", [GriffinLim(0.9), AcceleratedGriffinLim(), Admm()], ids=lambda each: type(each).__name__)
def test_gradients_are_finite_differences(convention, method):
    convention = convention.replace(n_fft=16, hop_length=4, n_mels=4)
    mel = (linear(convention, (), 16) + 0.05).requires_grad_()
    function = lambda m: mel_consistent(m, convention, 2, method, start="random")  # noqa: E731
    assert torch.autograd.gradcheck(function, mel, eps=1e-6, atol=1e-3, rtol=1e-3)


def test_gradients_of_a_pass_over_the_frames():
    convention = TINY.replace(n_fft=16, hop_length=8, n_mels=4)
    mel = (linear(convention, (), 16) + 0.05).requires_grad_()
    function = lambda m: mel_consistent(m, convention, 2, RtisiLa(momentum=0.5))  # noqa: E731
    assert torch.autograd.gradcheck(function, mel, eps=1e-6, atol=1e-3, rtol=1e-3)


def test_a_hiss_does_not_whistle_where_the_last_filter_ends():
    """Below bins that are held at 0, a filter's outermost bins hardly count in its mel, and were pulled up by tens of dB."""
    convention = TINY.replace(n_fft=512, hop_length=128, n_mels=40, f_max=3000.0)
    hiss = torch.randn(4, 8000, dtype=F64)
    mel = MelAnalyzer(convention).linear(hiss)
    for n_iter in (10, 32):
        found = MelInverter(convention, n_iter=n_iter)(mel)
        levels = Frame(convention).analyse(found).abs().square().mean((0, -1))
        last = int(MelFilterbank(convention).table.any(0).nonzero()[-1])
        assert levels[last - 12 : last + 1].max() < 3 * levels[last - 60 : last - 12].mean()  # 5 dB


def test_a_record_is_a_phase():
    mel = linear(TINY)
    inverter = MelInverter(TINY, phase=MelConsistent(Admm(), sweeps=1), n_iter=4)
    torch.testing.assert_close(inverter(mel), mel_consistent(mel, TINY, 4, Admm(), 1), **LOCK_STEP)
    shown = repr(inverter)
    assert "MelConsistent(method=Admm(softness=0.1), sweeps=1, agreement=1.0)" in shown
    usual = "MelConsistent(method=AcceleratedGriffinLim(momentum=0.5, inertia=0.99, relaxation=1.1), sweeps=2, agreement=1.0)"
    assert usual in repr(MelInverter(TINY, phase="mel_consistent", momentum=0.5))
    assert "phase=GriffinLim(momentum=0.99)" in repr(MelInverter(TINY, phase="fast_griffin_lim"))


@pytest.mark.parametrize("name", ["admm", "lws"])
def test_momentum_for_a_phase_that_has_none(name):
    with pytest.raises(InputError, match=f"momentum is 0.5, but phase '{name}' has none; leave it out"):
        MelInverter(TINY, phase=name, momentum=0.5)


@pytest.mark.parametrize("record", [Admm(), GriffinLim(0.9), MelConsistent()])
def test_momentum_beside_a_record(record):
    with pytest.raises(InputError, match=r"momentum is 0.5 beside .*, which has its own numbers; give it there"):
        MelInverter(TINY, phase=record, momentum=0.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "admm"}, "method is 'admm'; it must be a phase method"),
        ({"method": MelConsistent()}, "it must be a phase method"),
        ({"sweeps": 0}, "sweeps"),
        ({"sweeps": 5}, "sweeps is 5; it must be a number from 1 to 4"),
        ({"sweeps": 1.5}, "sweeps"),
        ({"agreement": 0}, "agreement"),
        ({"agreement": 1.1}, "agreement"),
        ({"agreement": None}, "agreement"),
    ],
)
def test_numbers_that_are_none(wrong, message):
    with pytest.raises(InputError, match=message):
        MelConsistent(**wrong)
    with pytest.raises(InputError, match=message):
        mel_consistent(linear(TINY), TINY, 1, **wrong)


def test_frame_by_frame_the_mel_is_kept_too():
    mel = linear(TINY)
    fixed, kept = mel_error_db_of("rtisi_la", mel), mel_error_db_of(MelConsistent(RtisiLa()), mel)
    assert kept < fixed - 1
    assert mel_error_db_of(MelConsistent(Then(RtisiLa(look_ahead=0), GriffinLim(0.99), after=1)), mel) < fixed


def mel_error_db_of(phase, mel: Tensor) -> Tensor:
    return mel_error_db(MelAnalyzer(TINY).linear(MelInverter(TINY, phase=phase, n_iter=8)(mel)), mel)


def test_a_linear_mel_below_zero_counts_as_silent():
    mel = linear(TINY)
    below = torch.where(mel < 0.1 * mel.max(), -mel, mel)
    torch.testing.assert_close(mel_consistent(below, TINY, 3), mel_consistent(below.relu(), TINY, 3))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("changes", [{}, {"magnitude_offset": 1e-9}, {"magnitude_floor": 1e-5}, {"power": 2.0}])
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-21])
def test_mels_far_below_everything_are_finite(scale, changes, dtype):
    convention = TINY.replace(**changes)
    mel = scale * MelAnalyzer(convention).linear(tones(640, (), dtype))
    assert MelInverter(convention, n_iter=3)(mel).isfinite().all()
    log = convention.replace(level={"log": "ln", "floor": scale})
    assert MelInverter(log, n_iter=3)(torch.full((16, 20), math.log(scale), dtype=dtype)).isfinite().all()
