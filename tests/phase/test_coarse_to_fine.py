"""Coarse to fine, in lock-step with an independent transcription in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.derivative import is_derivative
from tests.phase.papers import F64
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from tests.solve import solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.functional import initial_phase
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase.coarse_problem import coarse_convention
from torchmelinv.phase.edge_filters import edge_filters
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phases import ADMM, RAAR, RTISILA, CoarseToFine, GriffinLim, MelConsistent
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import remove_offset

ZERO = TINY.replace(padding="center_zero")


def linear_mel(convention: MelConvention, items: tuple[int, ...] = ()) -> Tensor:
    return MelSpectrogram(convention).linear_mel(tones(1600, items, F64))


class Stage:
    """The joint problem at 1/D of the rate, by loops over frames, for zero padding."""

    def __init__(self, mel: Tensor, convention: MelConvention, D: int) -> None:
        """Take a linear mel (frames, n_mels)."""
        self.D, self.n, self.hop = D, convention.n_fft // D, convention.hop_length // D
        self.K, self.T, self.power = self.n // 2 + 1, len(mel), convention.power
        matrix = MelFilterbank(convention).matrix
        edges = edge_filters(matrix)
        table = torch.cat([edges.lower.filter, matrix.table, edges.upper.filter])
        rows = edges.extend(mel)
        share = table.sum(0)[: self.K]
        inside = [k for k in range(len(table)) if D == 1 or not table[k, self.K - 1 :].any()]
        self.M, self.m = table[inside][:, : self.K], rows[:, inside] / D**self.power
        self.top = int(self.M[-2].argmax())
        self.spread = torch.where(share > 0, self.M / share.clamp(min=1e-30), 0)
        self.rest = torch.where(share > 0, 1 - self.spread.sum(0), 0)
        self.free_dc = bool(share[0] == 0)
        window = torch.hann_window(convention.n_fft, dtype=F64)
        self.window = window[::D]
        self.samples = math.ceil(convention.n_samples(self.T) / D)
        level = ((self.m / self.M.sum(1)) ** (2 / self.power) @ self.spread.sum(1)).sqrt()
        self.W = 1 / (level / level.max() + 1e-3)

    def frames(self, x: Tensor) -> Tensor:
        padded = torch.zeros(self.hop * (self.T - 1) + self.n, dtype=F64)
        padded[self.n // 2 :][: self.samples] = x
        return torch.stack([padded[t * self.hop :][: self.n] for t in range(self.T)])

    def analyse(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(self.frames(x) * self.window)

    def add(self, frames: Tensor) -> Tensor:
        total = torch.zeros(self.hop * (self.T - 1) + self.n, dtype=F64)
        for t, frame in enumerate(frames):
            total[t * self.hop :][: self.n] += frame
        return total[self.n // 2 :][: self.samples]

    def synthesise(self, c: Tensor, W: Tensor) -> Tensor:
        """Return A⁺_W(c), tapered where few windows reach."""
        squared = self.window.square()[None]
        ones = self.add(squared.expand(self.T, -1))
        taper = ones / ones.clamp(min=0.1 * ones.max())
        frames = torch.fft.irfft(c, n=self.n) * self.window * W[:, None]
        return self.add(frames) / self.add(squared * W[:, None]) * taper

    def gain(self, s: Tensor) -> Tensor:
        total = torch.ones_like(s)
        for _ in range(2):
            factor = (self.m / (s @ self.M.T)) @ self.spread + self.rest
            s, total = s * factor, total * factor
        total = total ** (1 / self.power)
        if self.free_dc:
            total[:, 0] = 1
        return total

    def run(self, c: Tensor, n_iter: int, last: int = 0) -> Tensor:
        """Return x after accelerated Griffin-Lim with α = β = 0.99 and γ = 1.1.

        Before the last iterations it starts again from its signal.
        """
        t = before = x = self.synthesise(c, torch.ones(self.T, dtype=F64))
        least = math.inf
        for iteration in range(n_iter):
            if last and iteration == n_iter - last:
                t = before = x
                least = math.inf
            y = t + 0.99 * (t - before)
            c = self.analyse(y)
            change = (self.gain(c.abs() ** self.power) - 1) * c
            x = y + self.synthesise(change, self.W)
            t, before = y + 1.1 * (x - y), t
            if iteration % 4 == 3:
                distance = float((x - y).norm())
                before = t if distance > 1.06 * least else before
                least = min(least, distance)
        return x


@pytest.mark.parametrize("n_iter", [1, 2, 5, 13, 32])
@pytest.mark.parametrize("convention", [ZERO, TINY_POWER], ids=["magnitude", "power"])
def test_equals_the_transcription(convention, n_iter):
    mel = linear_mel(convention)
    magnitude = remove_offset(entropic(mel, MelFilterbank(convention)), convention)
    c = torch.polar(magnitude, initial_phase(magnitude, convention, "random")).mT.contiguous()
    # 5/8 of the cost is coarse, with D = 4 and D = 2 (2 kHz and more); the last is not.
    coarse = min(n_iter - 1, round(5 / 8 * n_iter))
    overhead = 2**15 / (mel.shape[-1] * convention.n_fft)
    for D in (4, 2):
        stage = Stage(mel.mT, convention, D)
        count = round(coarse / 2 / ((1 / D + overhead) / (1 + overhead)))
        x = stage.run(c[:, : stage.K] / D, count)
        if coarse:
            c[:, : stage.top] = D * stage.analyse(x)[:, : stage.top]
    stage, n_full = Stage(mel.mT, convention, 1), n_iter - coarse
    expected = stage.run(c, n_full, min(4, n_full // 2))
    result = solve_mel(CoarseToFine(), mel, convention, n_iter, init="random").waveform
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=0)


def test_the_cost_of_the_stages_is_n_iter(monkeypatch):
    """Each of two stages rounds to half an iteration; one at 1/D costs 1/D and a constant part."""
    steps: list[int] = []
    projection = PhaseProblem.consistent_projection

    def count(self, signal):
        steps.append(TINY.n_fft // self.plan.convention.n_fft)
        return projection(self, signal)

    monkeypatch.setattr(PhaseProblem, "consistent_projection", count)
    mel = linear_mel(TINY)
    overhead = 2**15 / (mel.shape[-1] * TINY.n_fft)
    for n_iter in (0, 1, 2, 3, 12, 32):
        steps.clear()
        solution = solve_mel(CoarseToFine(), mel, TINY, n_iter, return_info=True)
        assert steps == sorted(steps, reverse=True)
        cost = sum((1 / divisor + overhead) / (1 + overhead) for divisor in steps)
        assert abs(cost - n_iter) <= 1
        assert steps.count(1) == max(n_iter - round(0.625 * n_iter), min(n_iter, 1))
        assert solution.n_iter == n_iter
        assert solution.history.shape == (n_iter,)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_fft": 125, "hop_length": 25},
        {"hop_length": 33},
        {"win_length": 97},
        {"padding": "same_reflect", "hop_length": 30, "n_fft": 132, "win_length": 132},
    ],
    ids=str,
)
def test_sizes_that_are_not_divisible_stay_at_the_full_rate(changes):
    """Both halves of the iterations are then those of one run, with weights."""
    convention = TINY.replace(**changes)
    assert coarse_convention(convention.stft, 2) is None
    mel = linear_mel(convention)
    split = solve_mel(CoarseToFine(coarse=8), mel, convention, 16).waveform
    whole = solve_mel(CoarseToFine(coarse=0), mel, convention, 16).waveform
    torch.testing.assert_close(split, whole, atol=1e-9, rtol=0)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER.replace(padding="none"), TINY_LOG])
@pytest.mark.parametrize("hook", [None, lambda iteration, state: None])
def test_items_of_a_padded_batch_equal_single_items(convention, hook):
    mel = linear_mel(convention, (3,))
    lengths = torch.tensor([mel.shape[-1], 8, 3])
    mel[1, :, 8:] = 7  # padding, which must not matter
    batch = solve_mel(CoarseToFine(), mel, convention, 8, lengths=lengths, hook=hook).waveform
    for item, count, waveform in zip(mel, lengths.tolist(), batch, strict=True):
        alone = solve_mel(CoarseToFine(), item[:, :count], convention, 8).waveform
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()


@pytest.mark.parametrize("method", [GriffinLim(0.99), ADMM(), RAAR()], ids=str)
def test_other_methods_run_in_stages(method):
    mel = linear_mel(TINY)
    residual = solve_mel(CoarseToFine(method), mel, TINY, 32, return_info=True).residual
    start = solve_mel(CoarseToFine(method), mel, TINY, 0, return_info=True).residual
    assert residual < start / 2


def test_a_method_that_finds_its_own_phases_is_at_the_full_rate():
    mel = linear_mel(TINY)
    waveform = solve_mel(CoarseToFine(RTISILA(look_ahead=1)), mel, TINY, 3).waveform
    expected = solve_mel(MelConsistent(RTISILA(look_ahead=1)), mel, TINY, 3).waveform
    assert torch.equal(waveform, expected)


def test_the_gradient_is_the_derivative():
    mel = linear_mel(TINY)[:, :12] + 0.05

    def waveform_of(mel: Tensor) -> Tensor:
        return solve_mel(CoarseToFine(), mel, TINY, 4, init="random").waveform

    assert is_derivative(waveform_of, mel)


def test_an_integer_mode_passes_all_coarse_iterations_or_none():
    mel = linear_mel(TINY)[:, :12] + 0.05
    weights = torch.randn(TINY.n_samples(12), dtype=F64)

    def gradient_of(mode: str | int) -> Tensor:
        leaf = mel.clone().requires_grad_()
        waveform = solve_mel(CoarseToFine(), leaf, TINY, 8, init="random", gradient=mode).waveform
        return torch.autograd.grad((waveform * weights).sum(), leaf)[0]

    exact = gradient_of("unrolled")
    torch.testing.assert_close(gradient_of("checkpointed"), exact)
    torch.testing.assert_close(gradient_of(8), exact)
    for fewer in (3, 7):  # 3 of 8 are at the full rate
        torch.testing.assert_close(gradient_of(fewer), gradient_of(5))
    assert not torch.allclose(gradient_of(3), exact)
    assert not torch.allclose(gradient_of(2), gradient_of(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coarse": -1}, "coarse is -1; it must be a number"),
        ({"coarse": 1.5}, "coarse is 1.5; it must be an integer number of iterations"),
        ({"time_structure": 1.0}, "time_structure is 1.0; CoarseToFine needs 0"),
        ({"method": "admm"}, "method is 'admm'; it must be a phase method"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        CoarseToFine(**options)


def test_an_explicit_part_of_the_iterations():
    def counts(coarse: int | float, n_iter: int) -> tuple[int, int]:
        ((stage, count),) = CoarseToFine(coarse=coarse).stages(n_iter)
        return stage.iterations_of_init, count

    assert counts(10, 16) == (10, 6)
    assert counts(10, 4) == (3, 1)
    assert counts(0.5, 24) == (12, 12)


def test_the_length_of_an_item_sets_its_schedule(monkeypatch):
    """The shorter it is, the more of an iteration no lower rate shortens."""
    steps: list[int] = []
    monkeypatch.setattr(
        PhaseProblem, "consistent_projection", lambda problem, signal: steps.append(1) or signal
    )
    counts = []
    for n_frames in (8, 51, 200, 2000):
        steps.clear()
        solve_mel(CoarseToFine(), torch.ones(16, n_frames, dtype=F64), TINY, 32, init="zero")
        counts.append(len(steps))
    assert counts == sorted(set(counts))


def test_momentum_is_passed_to_the_inner_method():
    inverter = MelInverter(TINY, phase="coarse_to_fine", momentum=0.5)
    assert "CoarseToFine(method=AcceleratedGriffinLim(alpha=0.5, " in repr(inverter)
