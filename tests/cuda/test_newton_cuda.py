"""The kernels of the filterbank inverses in emulation: the reference's solution, in float32."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.cuda.one_step import assert_equal
from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset
from torchmelinv.cuda import newton_cuda
from torchmelinv.cuda.newton_cuda import NewtonResult, Tables
from torchmelinv.magnitude import dual_newton
from torchmelinv.magnitude.dual_newton import solve_dual
from torchmelinv.magnitude.entropic import KULLBACK_LEIBLER
from torchmelinv.magnitude.least_distance import EUCLIDEAN
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.transforms.mel_filterbank import MelFilterbank

DISTANCES = {distance.name: distance for distance in (KULLBACK_LEIBLER, EUCLIDEAN)}
BANKS = {
    "tiny": TINY,
    "power": TINY_POWER,
    "deficient": DEFICIENT,
    "hifigan_22k": preset("hifigan_22k"),
}
EPS = torch.finfo(torch.float32).eps

methods = pytest.mark.parametrize("method", DISTANCES)


class Problem(NamedTuple):
    """The inputs of the solver in float32: (1, rows, frames)."""

    bank: MelFilterbank
    matrix: Tensor  # M with peaks of 1
    peak: Tensor
    mel: Tensor
    prior: Tensor
    weight: Tensor
    scale: Tensor  # peaks of the frames


def make_problem(
    bank: MelFilterbank, method: str, mel: Tensor, prior: Tensor | None = None
) -> Problem:
    """Return the problem of a mel (n_mels, frames)."""
    peak = bank.table.amax(1, keepdim=True)
    matrix = torch.where(peak > 0, bank.table / peak, 0).float()
    nonsilent = torch.where(peak > 0, mel / peak, 0).float()[None]
    scale = nonsilent.amax(-2, keepdim=True)
    inverse = torch.where(scale > 0, 1 / scale, 0)
    prior = transpose(mel, bank) if prior is None else prior
    weight = DISTANCES[method].weight(nonsilent * inverse)
    parts = nonsilent * inverse, prior[None] * inverse, weight
    return Problem(bank, matrix, peak.float(), *(part.contiguous() for part in parts), scale)


def solve(problem: Problem, method: str) -> tuple[Tables, NewtonResult]:
    tables = newton_cuda.tables(problem.matrix)
    inputs = problem.peak, problem.mel, problem.prior, problem.weight
    return tables, newton_cuda.solve(tables, method, *inputs)


def mel_of_tones(name: str, noisy: bool = False) -> tuple[MelFilterbank, Tensor]:
    """Return a filterbank and about forty frames.

    Noise changes each value by about a factor e, so that no spectrum has the mel of most frames.
    """
    convention = BANKS[name]
    mel = MelSpectrogram(convention).linear_mel(tones(convention.hop_length * 40))
    return MelFilterbank(convention), mel * torch.exp(torch.randn_like(mel)) if noisy else mel


def relative_residual(problem: Problem, spectrum: Tensor) -> Tensor:
    """Return ‖Ms − m‖ / ‖m‖ of each frame, in float64."""
    peak, mel = problem.peak.double(), problem.mel.double()
    error = peak * (problem.matrix.double() @ spectrum.double() - mel)
    return error.norm(dim=-2) / (peak * mel).norm(dim=-2)


def finite(result: NewtonResult) -> bool:
    return all(part.isfinite().all() for part in result)


def test_the_rules_are_those_of_the_reference():
    assert sum(dual_newton.HARD_ROUNDS) == newton_cuda.HARD_STEPS
    assert sum(dual_newton.SOFT_ROUNDS) == newton_cuda.SOFT_STEPS
    assert set(newton_cuda.METHODS) == set(DISTANCES)


@needs_compiler
@methods
@pytest.mark.parametrize(
    ("name", "noisy"), [(name, False) for name in BANKS] + [("tiny", True), ("hifigan_22k", True)]
)
def test_the_solution_is_that_of_the_reference(host_kernels, method, name, noisy):
    bank, mel = mel_of_tones(name, noisy)
    problem = make_problem(bank, method, mel)
    _, result = solve(problem, method)
    prior, distance = problem.prior * problem.scale, DISTANCES[method]
    single = solve_dual(mel[None], bank, distance, prior)
    double = solve_dual(mel[None].double(), bank, distance, prior.double())

    def error(spectrum: Tensor) -> Tensor:
        """Return the relative distance from the float64 solution."""
        difference = (spectrum.double() - double.spectrum).norm(dim=-2)
        return difference / double.spectrum.norm(dim=-2)

    spectrum = result.spectrum * problem.scale
    # The error of float32 depends on the frame; that of the reference in float32 shows it. Another
    # order of sums may put single frames on the other side of a threshold: 1 of 40 may differ by
    # more than twice as much.
    near = error(spectrum) <= 2 * error(single.spectrum) + 1e-6
    assert near.double().mean() >= 0.97
    met = relative_residual(problem, result.spectrum) <= 1.5 * single.residual + 1e-6
    assert met.double().mean() >= 0.97
    assert (result.n_iter[0] - single.n_iter).abs().double().mean() <= 1
    assert (result.converged[0] == single.converged).double().mean() >= 0.97
    assert finite(result)
    if not noisy and method == "entropic":
        assert relative_residual(problem, result.spectrum).max() <= 1e-5  # the documented bound
        assert (result.rho == newton_cuda.HARD_RHO).all()


@needs_compiler
@methods
def test_the_solution_is_the_optimum_for_its_rho(host_kernels, method):
    bank, mel = mel_of_tones("tiny", noisy=True)
    problem = make_problem(bank, method, mel)
    _, result = solve(problem, method)
    matrix, rho = problem.matrix.double(), result.rho.double()
    assert set(result.rho.flatten().tolist()) == set(torch.tensor([1e-7, 1e-3]).tolist())
    exponent = matrix.mT @ result.multiplier.double()
    expected = DISTANCES[method].primal(problem.prior.double(), exponent)
    # The returned λ is rounded to float32, which changes u by that much, and the spectrum with it.
    rtol = 10 * EPS * float(result.multiplier.abs().max())
    torch.testing.assert_close(result.spectrum.double(), expected, rtol=rtol, atol=1e-4)
    error = matrix @ result.spectrum.double() - problem.mel
    gradient = error + rho * problem.weight * result.multiplier
    size = (problem.peak * gradient).norm(dim=-2) / (problem.peak * problem.mel).norm(dim=-2)
    # The tolerance of a step is 3.5e-6, and one more step follows.
    assert size[rho[0] > 1e-6].max() <= 5e-6


@needs_compiler
@methods
def test_a_frame_is_bitwise_independent_of_other_frames(host_kernels, method):
    bank, mel = mel_of_tones("tiny", noisy=True)  # 41 frames: two blocks, the second not full
    prior = transpose(mel, bank)
    problem = make_problem(bank, method, mel, prior)
    host_kernels.seed = 0
    _, batch = solve(problem, method)
    for seed in (1, 2):
        host_kernels.seed = seed
        assert_equal(solve(problem, method)[1], batch)
    frames = torch.tensor([40, 3, 17, 30, 8])
    _, few = solve(make_problem(bank, method, mel[:, frames], prior[:, frames]), method)
    assert_equal(few, tuple(each[..., frames] for each in batch))
    assert host_kernels.launched == ["newton"] * 4


@needs_compiler
@methods
def test_silent_frames_stay_silent(host_kernels, method):
    bank, mel = mel_of_tones("deficient")
    mel[:, 3:6] = 0
    _, result = solve(make_problem(bank, method, mel), method)
    assert finite(result)
    assert (result.spectrum[..., 3:6] == 0).all()
    assert (result.multiplier[..., 3:6] == 0).all()
    assert (result.n_iter[..., 3:6] == 1).all()
    assert result.converged[..., 3:6].all()


@needs_compiler
@methods
@pytest.mark.parametrize("level", [0.0, 1e-38, 1e-20, 1e3, 1e30, None])
def test_results_are_finite_for_any_prior(host_kernels, method, level):
    bank, mel = mel_of_tones("tiny")
    random = torch.rand(bank.n_freqs, mel.shape[-1])
    prior = 10 ** (23 * random - 20) if level is None else random * level
    prior[:, ::2] *= torch.rand(bank.n_freqs, 1) > 0.3
    problem = make_problem(bank, method, mel, prior)
    _, result = solve(problem, method)
    assert finite(result)
    assert (result.spectrum >= 0).all()
    if method == "entropic":
        assert (result.spectrum[problem.prior == 0] == 0).all()
        # Without empty bins these are met; the exponent of 46 costs digits.
        if level in (1e-20, 1e3):
            assert relative_residual(problem, result.spectrum)[:, 1::2].max() <= 2e-5


def triangles(n_mels: int, n_freqs: int) -> Tensor:
    """Return triangular filters of equal width, (n_mels, n_freqs)."""
    edges = torch.linspace(-1, n_freqs - 0.5, n_mels + 2, dtype=torch.float64)
    low, center, high = (edges[i : i + n_mels, None] for i in range(3))
    bins = torch.arange(n_freqs)
    rise, fall = (bins - low) / (center - low), (high - bins) / (high - center)
    return torch.minimum(rise, fall).clamp(min=0)


@needs_compiler
@methods
@pytest.mark.parametrize(
    ("n_mels", "n_freqs", "empty"), [(1, 9, False), (2, 9, False), (7, 64, False), (3, 17, True)]
)
def test_filterbanks_of_any_size(host_kernels, method, n_mels, n_freqs, empty):
    matrix = triangles(n_mels, n_freqs)
    if empty:
        nothing = torch.zeros(2, n_freqs, dtype=torch.float64)
        first = torch.cat([nothing, matrix, nothing])
        matrix = torch.block_diag(first, torch.cat([0.5 * matrix, nothing]))
    bank = MelFilterbank(matrix)
    problem = make_problem(bank, method, bank(torch.rand(bank.n_freqs, 35) ** 8))
    _, result = solve(problem, method)
    assert relative_residual(problem, result.spectrum).max() <= 1e-5
    assert finite(result)


@needs_compiler
@methods
@pytest.mark.parametrize(
    ("name", "noisy"),
    [("tiny", False), ("deficient", False), ("tiny", True), ("hifigan_22k", True)],
)
def test_the_gradient(host_kernels, method, name, noisy):
    bank, mel = mel_of_tones(name, noisy)
    problem, distance = make_problem(bank, method, mel), DISTANCES[method]
    tables, result = solve(problem, method)
    grad = torch.randn_like(problem.prior)
    inputs = tables, method, problem.prior, problem.weight, *result[:3], grad
    gradients = newton_cuda.vjp(*inputs)

    matrix, prior = problem.matrix.double(), problem.prior.double()
    spectrum, rho = result.spectrum.double(), result.rho.double()
    slope = distance.slope(prior, spectrum)
    hessian = torch.einsum("kf,ft,lf->tkl", matrix, slope[0], matrix)
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    ridge = (rho * problem.weight)[0].mT
    ridge = ridge + 1e3 * EPS * diagonal + EPS * diagonal.amax(-1, keepdim=True)
    right = (matrix @ (slope * grad))[0].mT[..., None]
    to_mel = torch.linalg.solve(hessian + torch.diag_embed(ridge), right)[..., 0].mT[None]
    to_prior = distance.prior_slope(prior, spectrum) * (grad - matrix.mT @ to_mel)
    to_weight = -rho * result.multiplier * to_mel
    # eps times the condition number of the system, which the ridge keeps below 1e4. It comes near
    # that where filters share their only bins.
    usual = 5e-4 if name == "deficient" else 2e-5
    for gradient, expected in zip(gradients, (to_mel, to_prior, to_weight), strict=True):
        error = (gradient - expected).norm(dim=-2) / expected.norm(dim=-2).clamp(min=1e-30)
        assert error.max() <= 2e-3
        assert error.median() <= usual
    host_kernels.seed = 2
    assert_equal(newton_cuda.vjp(*inputs), gradients)


@pytest.mark.parametrize("name", BANKS)
def test_tables_contain_every_bin_once(name):
    bank, mel = mel_of_tones(name)
    matrix = make_problem(bank, "entropic", mel).matrix
    tables = newton_cuda.tables(matrix)
    rebuilt = torch.zeros(len(matrix) + 1, matrix.shape[1])
    parts = tables.parts.tolist()
    for (row, bin, band), (_, last_bin, last_band) in itertools.pairwise(parts):
        assert band < last_band
        assert row % newton_cuda.CHUNK == 0
        for offset in range(last_bin - bin):
            low, high, forward, _ = tables.rows[row + offset].tolist()
            band += int(forward)
            rebuilt[band : band + 2, bin + offset] = torch.tensor([low, high])
        assert band < last_band
    assert torch.equal(rebuilt[:-1], matrix)
    assert parts[-1][2] == tables.n_mels
    largest = max(last[1] - first[1] for first, last in itertools.pairwise(parts))
    assert largest <= 2 * tables.n_freqs / (len(parts) - 1)


def test_unsupported_filterbanks_and_methods():
    matrix = MelFilterbank(TINY).table.float()
    assert newton_cuda.unsupported_reason(matrix) is None
    assert "shared memory" in newton_cuda.unsupported_reason(torch.eye(400))
    for other in (matrix.flip(0), torch.ones(4, 9), matrix[[0, 2, 1]]):
        assert "order of their bins" in newton_cuda.unsupported_reason(other)
        with pytest.raises(ValueError, match="order of their bins"):
            newton_cuda.tables(other)
    assert newton_cuda.unsupported_method("entropic") is None
    assert "no kernel for the distance 'other'" in newton_cuda.unsupported_method("other")


def test_no_frames(host_kernels):
    bank, mel = mel_of_tones("tiny")
    problem = make_problem(bank, "entropic", mel)
    parts = {name: getattr(problem, name)[..., :0] for name in ("mel", "prior", "weight")}
    problem = problem._replace(**parts)
    tables, result = solve(problem, "entropic")
    assert result.spectrum.shape == (1, bank.n_freqs, 0)
    assert host_kernels.launched == []
    inputs = problem.prior, problem.weight, *result[:3], problem.prior
    gradients = newton_cuda.vjp(tables, "entropic", *inputs)
    assert gradients[0].shape == (1, bank.n_mels, 0)


@pytest.mark.slow
@needs_nvrtc
@pytest.mark.parametrize(
    "kernel", newton_cuda.kernels(), ids=lambda kernel: f"{kernel.name}-{dict(kernel.defines)}"
)
def test_they_compile_without_spills(kernel):
    assert registers_without_spills(kernel) <= 112  # 3 blocks of 6 warps on a multiprocessor


@needs_compiler
@methods
@pytest.mark.parametrize(
    ("name", "value"), [("mel", float("nan")), ("mel", float("inf")), ("prior", float("nan"))]
)
def test_nan_and_infinity_come_out_in_their_frame_only(host_kernels, method, name, value):
    bank, mel = mel_of_tones("tiny")
    problem = make_problem(bank, method, mel)
    part = getattr(problem, name).clone()
    part[0, 7, 3] = value
    spectrum = solve(problem._replace(**{name: part}), method)[1].spectrum
    assert not spectrum[0, :, 3].isfinite().all()
    assert spectrum[0, :, :3].isfinite().all()
    assert spectrum[0, :, 4:].isfinite().all()
