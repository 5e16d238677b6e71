"""Mel-consistent inversion: lock-step with dense matrices, quality, batches and options."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.phase.papers import (
    F64,
    ITERATIONS,
    LOCK_STEP,
    Projections,
    accelerated,
    admm,
    impose_mel,
    istft,
    stft,
    without_noise,
)
from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, tones
from tests.solve import MAGNITUDE_PHASES, solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.metrics import mel_error_db
from torchmelinv.phase import PHASES
from torchmelinv.phases import (
    ADMM,
    LWS,
    RAAR,
    RTISILA,
    AcceleratedGriffinLim,
    GriffinLim,
    MelConsistent,
    PhaseMethod,
    Then,
)
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import remove_offset
from torchmelinv.transforms.stft import STFT

ZERO = TINY.replace(n_fft=64, hop_length=16, n_mels=12, padding="center_zero")
CONVENTIONS = pytest.mark.parametrize(
    "convention",
    [
        ZERO,
        ZERO.replace(padding="center_reflect"),
        ZERO.replace(power=2),
        ZERO.replace(power=0.7, magnitude_offset=1e-3),
        ZERO.replace(n_mels=30, mel_scale="htk", filter_norm=None),  # with empty filters
    ],
    ids=["magnitude", "reflect", "power", "offset", "deficient"],
)
N_SAMPLES = 480
# The method, and its paper's recursion, which gets P_M in place of P_A.
RECURSIONS = {
    "fast": (GriffinLim(0.99), lambda *problem: accelerated(*problem, 0.99, 0.99, 1.0, rise=1.06)),
    "accelerated": (
        AcceleratedGriffinLim(0.9, 0.8, 1.1),
        lambda *problem: accelerated(*problem, 0.9, 0.8, 1.1, rise=1.06),
    ),
    "admm": (ADMM(0.1), lambda *problem: admm(*problem, 0.1)),
}


def linear_mel(
    convention: MelConvention, items: tuple[int, ...] = (), n_samples: int = N_SAMPLES
) -> Tensor:
    return MelSpectrogram(convention).linear_mel(tones(n_samples, items, F64))


def error(waveform: Tensor, mel: Tensor, convention: MelConvention) -> Tensor:
    return mel_error_db(MelSpectrogram(convention).linear_mel(waveform), mel)


@pytest.mark.parametrize(("inner_iter", "damping"), [(2, 1.0), (3, 0.4)])
@pytest.mark.parametrize("name", RECURSIONS)
@CONVENTIONS
def test_lock_step_with_dense_matrices(convention, name, inner_iter, damping):
    method, recursion = RECURSIONS[name]
    method = MelConsistent(method, inner_iter, damping)
    mel = linear_mel(convention)
    magnitude = remove_offset(entropic(mel, MelFilterbank(convention)), convention)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    impose = impose_mel(mel, convention, inner_iter, damping)
    projections = Projections(impose, lambda x: stft(x, convention), istft)
    for n_iter in ITERATIONS:
        waveform = solve_mel(method, mel, convention, n_iter, init=angles).waveform
        expected = recursion(torch.polar(magnitude, angles), projections, n_iter)
        torch.testing.assert_close(waveform, expected, **LOCK_STEP)


@pytest.mark.parametrize("method", [GriffinLim(), GriffinLim(0.99), AcceleratedGriffinLim()])
def test_zero_iterations_are_the_entropic_magnitude_at_the_initial_phase(method):
    mel = linear_mel(TINY, (2,))
    waveform = solve_mel(MelConsistent(method), mel, TINY, 0, init="zero").waveform
    expected = STFT(TINY).inverse(entropic(mel, MelFilterbank(TINY)) + 0j)
    torch.testing.assert_close(waveform, expected)
    inverter = MelInverter(TINY, phase="griffin_lim", n_iter=0, init="zero")
    torch.testing.assert_close(waveform, inverter(mel))


def test_zero_iterations_of_admm_impose_the_mel_once():
    """The entropic magnitude has the mel to 1e-5 already, and nearly the bands at the edges."""
    mel = linear_mel(TINY)
    waveform = solve_mel(MelConsistent(ADMM()), mel, TINY, 0, init="zero").waveform
    expected = solve_mel(MelConsistent(), mel, TINY, 0, init="zero").waveform
    assert (waveform - expected).norm() < 1e-2 * expected.norm()


@pytest.mark.parametrize("method", [AcceleratedGriffinLim(), ADMM(), RAAR()], ids=str)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_the_true_phase_stays_near_the_mel(convention, method):
    """From the true phase at the entropic magnitude, the mel error ends below 2 %."""
    expected = tones(1600, (2,), F64)
    mel = MelSpectrogram(convention).linear_mel(expected)
    options = {"init_waveform": expected, "length": 1600}
    before, after = (
        solve_mel(MelConsistent(method), mel, convention, n_iter, **options).waveform
        for n_iter in (0, 30)
    )
    assert (error(after, mel, convention) < -34).all()
    assert (error(after, mel, convention) < error(before, mel, convention) - 6).all()


@pytest.mark.parametrize("method", [GriffinLim(0.99), AcceleratedGriffinLim(), ADMM()], ids=str)
@pytest.mark.parametrize(
    ("convention", "init"), [(TINY, "random"), (TINY, "pghi"), (TINY_POWER, "pghi")]
)
def test_it_beats_the_cascade_of_the_same_method(convention, init, method):
    """Except at power 2 from random phases within 32 iterations, where loud bins come first."""
    mel = linear_mel(convention, (3,), 1600)
    joint, cascade = (
        MelInverter(convention, phase=phase, n_iter=32, init=init)(mel)
        for phase in (MelConsistent(method), method)
    )
    assert (error(joint, mel, convention) < error(cascade, mel, convention) - 1.5).all()


def test_more_iterations_and_inner_iterations_reduce_the_mel_error():
    mel = linear_mel(TINY, (3,), 1600)

    def mean_error(n_iter, inner_iter=2):
        method = MelConsistent(inner_iter=inner_iter)
        return error(solve_mel(method, mel, TINY, n_iter).waveform, mel, TINY).mean()

    errors = [mean_error(n_iter) for n_iter in (0, 4, 16, 64)]
    assert errors == sorted(errors, reverse=True)
    assert mean_error(16, inner_iter=2) < mean_error(16, inner_iter=1)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
def test_damping_moves_the_signal_less_and_leaves_more_mel_error(convention):
    """One plain step from the same waveform; then the mel error after ten iterations."""
    init_waveform, mel = tones(1600, (), F64), linear_mel(convention, (2,), 1600)[1]
    changes, errors = [], []
    for damping in (0.1, 0.4, 1.0):
        method = MelConsistent(GriffinLim(), inner_iter=1, damping=damping)
        before, after = (
            solve_mel(method, mel, convention, n_iter, init_waveform=init_waveform).waveform
            for n_iter in (0, 1)
        )
        changes.append(float((after - before).norm()))
        waveform = solve_mel(method, mel, convention, 10).waveform
        errors.append(float(error(waveform, mel, convention)))
    assert changes == sorted(changes)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_the_module_inverts_the_linear_mel_of_its_values(convention):
    waveform = tones(N_SAMPLES, (2,), F64)
    values, mel = MelSpectrogram(convention)(waveform), linear_mel(convention, (2,))
    inverter = MelInverter(convention, phase="mel_consistent", n_iter=6)
    lengths = torch.tensor([mel.shape[-1], 9])
    padded = {"lengths": lengths, "length": 300, "init_waveform": waveform.flip(-1)}
    for options in ({}, padded):
        expected = solve_mel(MelConsistent(), mel, convention, 6, **options).waveform
        torch.testing.assert_close(inverter(values, **options), expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("hook", [None, lambda iteration, state: None])
@pytest.mark.parametrize(
    "method",
    [AcceleratedGriffinLim(), ADMM(), LWS(rtisi_iter=1), RTISILA()],
    ids=lambda method: type(method).__name__,
)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER.replace(padding="none"), TINY_LOG])
def test_items_of_a_padded_batch_equal_single_items(convention, method, hook):
    method, mel = MelConsistent(method), linear_mel(convention, (3,))
    lengths = torch.tensor([mel.shape[-1], 8, 3])
    mel[1, :, 8:] = 7  # padding, which must not matter
    batch = solve_mel(method, mel, convention, 5, lengths=lengths, hook=hook).waveform
    for item, count, waveform in zip(mel, lengths.tolist(), batch, strict=True):
        alone = solve_mel(method, item[:, :count], convention, 5).waveform
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()


def test_items_of_a_batch_are_bit_identical_to_single_items():
    mel = linear_mel(TINY, (2, 2)).float()
    batch = solve_mel(MelConsistent(), mel, TINY, 5).waveform
    for i in range(2):
        for j in range(2):
            assert torch.equal(batch[i, j], solve_mel(MelConsistent(), mel[i, j], TINY, 5).waveform)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
def test_a_factor_of_the_mel_is_a_factor_of_the_waveform(convention):
    mel = linear_mel(convention)
    expected = solve_mel(MelConsistent(), mel, convention, 4).waveform
    for scale in (1e-8, 3.7, 1e8):
        waveform = solve_mel(MelConsistent(), scale * mel, convention, 4).waveform
        waveform = waveform / scale ** (1 / convention.power)
        assert (waveform - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_residual_is_the_relative_distance_from_the_mel():
    mel = linear_mel(TINY, (2,))
    solution = MelInverter(TINY, phase="mel_consistent", n_iter=9).solve(mel)
    distance = MelSpectrogram(TINY).linear_mel(solution.waveform) - mel
    expected = distance.flatten(1).norm(dim=1) / mel.flatten(1).norm(dim=1)
    torch.testing.assert_close(solution.residual, expected)
    torch.testing.assert_close(solution.history[-1], expected)


def test_silence_stays_silent():
    assert (solve_mel(MelConsistent(), torch.zeros(2, 16, 9), TINY, 3).waveform == 0).all()


def test_second_derivatives_are_refused():
    mel = linear_mel(TINY).requires_grad_()
    energy = solve_mel(MelConsistent(), mel, TINY, 2).waveform.square().sum()
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(energy, mel, create_graph=True)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
@pytest.mark.parametrize(
    "method",
    [GriffinLim(0.9), AcceleratedGriffinLim(), ADMM()],
    ids=lambda method: type(method).__name__,
)
def test_gradients_equal_finite_differences(convention, method):
    convention = convention.replace(n_fft=16, hop_length=4, n_mels=4)
    mel = (linear_mel(convention, (), 16) + 0.05).requires_grad_()

    def waveform_of(mel):
        return solve_mel(MelConsistent(method), mel, convention, 2, init="random").waveform

    assert torch.autograd.gradcheck(waveform_of, mel, eps=1e-6, atol=1e-3, rtol=1e-3)


def test_gradients_of_rtisi_la_equal_finite_differences(monkeypatch):
    """Without noise in new frames, which counts as a constant."""
    without_noise(monkeypatch)
    convention = TINY.replace(n_fft=16, hop_length=8, n_mels=4)
    mel = (linear_mel(convention, (), 16) + 0.05).requires_grad_()

    def waveform_of(mel):
        return solve_mel(MelConsistent(RTISILA(momentum=0.5)), mel, convention, 2).waveform

    assert torch.autograd.gradcheck(waveform_of, mel, eps=1e-6, atol=1e-3, rtol=1e-3)


def test_noise_gets_no_tone_at_the_end_of_the_last_filter():
    """Bins beyond the last filter are held at 0.

    The outermost bins of the filter hardly count in its mel, and without the blended gain the
    updates raised them by tens of dB.
    """
    convention = TINY.replace(n_fft=512, hop_length=128, n_mels=40, f_max=3000.0)
    mel = MelSpectrogram(convention).linear_mel(torch.randn(4, 8000, dtype=F64))
    last = int(MelFilterbank(convention).table.any(0).nonzero()[-1])
    for n_iter in (10, 32):
        waveform = MelInverter(convention, n_iter=n_iter)(mel)
        power = STFT(convention)(waveform).abs().square().mean((0, -1))
        assert power[last - 12 : last + 1].max() < 3 * power[last - 60 : last - 12].mean()  # 5 dB


def test_the_module_takes_a_configured_method():
    mel, method = linear_mel(TINY), MelConsistent(ADMM(), inner_iter=1)
    inverter = MelInverter(TINY, phase=method, n_iter=4)
    expected = solve_mel(method, mel, TINY, 4).waveform
    torch.testing.assert_close(inverter(mel), expected, **LOCK_STEP)
    assert (
        "phase=MelConsistent(method=ADMM(rho=0.1), inner_iter=1, damping=1.0, time_structure=0.0)"
        in repr(inverter)
    )


def test_momentum_is_passed_to_the_inner_method():
    inner = "AcceleratedGriffinLim(alpha=0.5, beta=0.99, gamma=1.1)"
    inverter = MelInverter(TINY, phase="mel_consistent", momentum=0.5)
    assert (
        f"phase=MelConsistent(method={inner}, inner_iter=2, damping=1.0, time_structure=0.0)"
        in repr(inverter)
    )


@pytest.mark.parametrize("name", ["admm", "lws"])
def test_momentum_for_a_method_without_momentum(name):
    message = f"momentum is 0.5, but {PHASES[name].__name__} has none; leave it out"
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, phase=name, momentum=0.5)


@pytest.mark.parametrize("method", [ADMM(), GriffinLim(0.9), MelConsistent()], ids=str)
def test_momentum_with_a_configured_method(method):
    message = r"momentum=0.5 cannot be combined with .*; set it there"
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, phase=method, momentum=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "admm"}, "method is 'admm'; it must be a phase method"),
        ({"method": MelConsistent()}, "it must be a phase method"),
        ({"inner_iter": 0}, "inner_iter"),
        ({"inner_iter": 5}, "inner_iter is 5; it must be a number from 1 to 4"),
        ({"inner_iter": 1.5}, "inner_iter"),
        ({"damping": 0}, "damping"),
        ({"damping": 1.1}, "damping"),
        ({"damping": None}, "damping"),
    ],
    ids=str,
)
def test_invalid_parameters(options, message):
    with pytest.raises(InputError, match=message):
        MelConsistent(**options)


def test_a_mel_is_needed():
    magnitude = torch.rand(TINY.n_fft // 2 + 1, 9)
    for method in MAGNITUDE_PHASES.values():
        with pytest.raises(InputError, match="MelConsistent needs a mel"):
            MelConsistent(method()).make_target(magnitude, None)


def test_rtisi_la_can_follow_the_mel():
    mel = linear_mel(TINY)

    def error_of(phase: str | PhaseMethod) -> Tensor:
        return error(MelInverter(TINY, phase=phase, n_iter=8)(mel), mel, TINY)

    cascade = error_of("rtisi_la")
    assert error_of(MelConsistent(RTISILA())) < cascade - 1
    two_stages = Then(RTISILA(look_ahead=0), GriffinLim(0.99), after=1)
    assert error_of(MelConsistent(two_stages)) < cascade


def test_negative_values_of_a_linear_mel_count_as_silence():
    mel = linear_mel(TINY)
    negative = torch.where(mel < 0.1 * mel.max(), -mel, mel)
    inverter = MelInverter(TINY, n_iter=3, check=False)
    torch.testing.assert_close(inverter(negative), inverter(negative.relu()))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    "changes",
    [{}, {"magnitude_offset": 1e-9}, {"magnitude_floor": 1e-5}, {"power": 2.0}],
    ids=str,
)
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-21])
def test_waveforms_of_vanishing_mels_are_finite(scale, changes, dtype):
    convention = TINY.replace(**changes)
    mel = scale * MelSpectrogram(convention).linear_mel(tones(640, (), dtype))
    assert MelInverter(convention, n_iter=3)(mel).isfinite().all()
    log = convention.replace(level={"log": "ln", "floor": scale})
    silence = torch.full((16, 20), math.log(scale), dtype=dtype)
    assert MelInverter(log, n_iter=3)(silence).isfinite().all()
