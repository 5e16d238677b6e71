"""Local weighted sums: the kernel against P_C, the recursion bin by bin, quality and batches."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor

from tests.problems import stft_convention, tones
from tests.solve import solve
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.phase.lws import (
    LARGEST_KAPPA,
    LEAST_WEIGHT,
    consistency_kernel,
    weighted_sums,
)
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.phases import LWS, RTISILA, GriffinLim, Then
from torchmelinv.transforms.stft import STFT

F64 = torch.float64
SMALL = stft_convention(n_fft=16, hop_length=4)
LARGER = stft_convention(n_fft=128, hop_length=32)
CONVENTIONS = pytest.mark.parametrize(
    "convention",
    [
        SMALL,
        SMALL.replace(hop_length=6),
        SMALL.replace(hop_length=5, padding="center_zero", window="hann_symmetric"),
        SMALL.replace(n_fft=15, hop_length=4, padding="none", window_normalized=True),
        SMALL.replace(
            win_length=11, hop_length=3, window="povey", window_align="left", padding="none"
        ),
    ],
)


def magnitude_of(convention: STFTConvention, n_samples: int = 160, items=(), dtype=F64) -> Tensor:
    return STFT(convention)(tones(n_samples, items, dtype)).abs()


def error(waveform: Tensor, magnitude: Tensor, convention: STFTConvention) -> Tensor:
    """Return the spectral convergence of a waveform."""
    return (STFT(convention)(waveform).abs() - magnitude).norm() / magnitude.norm()


def turn(cycles: float) -> complex:
    return cmath.exp(2j * math.pi * cycles)


def impulse_responses(convention: STFTConvention) -> tuple[Tensor, int]:
    """Return P_C of spectra with one bin of 1 or of i, in the middle frame, and its index.

    The responses are (frames, n_freqs, 2, n_freqs): frame and bin of the impulse, 1 or i, and bin
    of the response.
    """
    frames, middle, n_freqs = 21, 10, convention.n_freqs
    stft = STFT(convention)
    plan = stft.plan(frames, stft.default_length(frames), torch.zeros(0, dtype=F64))
    impulses = torch.eye(frames * n_freqs, dtype=torch.complex128).reshape(-1, frames, n_freqs)
    parts = [plan.consistent(factor * impulses)[:, middle] for factor in (1, 1j)]
    return torch.stack(parts, 1).reshape(frames, n_freqs, 2, n_freqs), middle


@CONVENTIONS
def test_the_kernel_is_the_consistent_projection(convention):
    """The response of each bin to each bin of each frame, mirrored bins included."""
    n_fft, hop, n_freqs = convention.n_fft, convention.hop_length, convention.n_freqs
    kernel = consistency_kernel(convention, n_fft)  # weights of all differences of bins
    reach = len(kernel) // 2
    responses, middle = impulse_responses(convention)
    for frame in range(responses.shape[0]):
        q = middle - frame
        for source in range(n_freqs):
            real_bin = source == 0 or 2 * source == n_fft
            # irfft ignores the imaginary part of a real bin; the kernel does not.
            for part, value in enumerate((1,) if real_bin else (1, 1j)):
                mirrored = [] if real_bin else [(-source, complex(value).conjugate())]
                expected = torch.zeros(n_freqs, dtype=torch.complex128)
                if abs(q) <= reach:
                    for k in range(n_freqs):
                        for j, entry in [(source, value), *mirrored]:
                            weight = kernel[reach + q, n_fft + k - j]
                            expected[k] += weight * turn(j * q * hop / n_fft) * entry
                response = responses[frame, source, part]
                torch.testing.assert_close(response, expected, atol=1e-12, rtol=0)


def sums_by_loops(c: Tensor, convention: STFTConvention, bins: int) -> Tensor:
    """Return the weighted sums of a spectrum (frames, n_freqs), bin by bin as in the paper."""
    n_fft, hop = convention.n_fft, convention.hop_length
    n_frames, n_freqs = c.shape
    kernel = consistency_kernel(convention, bins)
    reach = len(kernel) // 2
    center = kernel[reach, bins].real
    kappa = center.clamp(max=LARGEST_KAPPA)
    heavy = kernel.abs().amax(1) > LEAST_WEIGHT * center
    result = torch.zeros_like(c)
    for t in range(n_frames):
        for k in range(n_freqs):
            for q in range(-reach, reach + 1):
                if not 0 <= t - q < n_frames or not heavy[reach + q]:
                    continue
                for p in range(-bins, bins + 1):
                    j = (k - p) % n_fft
                    entry = c[t - q, j] if j < n_freqs else c[t - q, n_fft - j].conj()
                    weight = kernel[reach + q, bins + p] - kappa * (p == q == 0)
                    result[t, k] += weight * turn((k - p) * q * hop / n_fft) * entry
    return result / (1 - kappa)


@CONVENTIONS
@pytest.mark.parametrize("bins", [1, 2, 5])
def test_weighted_sums(convention, bins):
    generator = torch.Generator().manual_seed(3)
    c = torch.randn(2, 7, convention.n_freqs, dtype=torch.complex128, generator=generator)
    sums = weighted_sums(c, convention, bins)
    for item in range(2):
        expected = sums_by_loops(c[item], convention, bins)
        torch.testing.assert_close(sums[item], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_lock_step_with_the_paper(alpha):
    """c ← A · phase of the sum where |c| is above the falling threshold, from a given signal."""
    magnitude, stft = magnitude_of(SMALL, 60), STFT(SMALL)
    init_waveform = tones(60, dtype=F64).flip(-1)
    options = {"init_waveform": init_waveform, "length": 60}
    c = (magnitude * stft(init_waveform).sgn()).mT.contiguous()
    method = LWS(bins=2, alpha=alpha, beta=0.7, gamma=1.5)
    for n_iter in range(6):
        waveform = solve(method, magnitude, SMALL, n_iter, **options).waveform
        torch.testing.assert_close(waveform, stft.inverse(c.mT, length=60), atol=1e-7, rtol=0)
        threshold = alpha * math.exp(-0.7 * n_iter**1.5) * magnitude.mean()
        new = magnitude.mT * sums_by_loops(c, SMALL, 2).sgn()
        c = torch.where(magnitude.mT > threshold, new, c)


def test_a_consistent_spectrum_hardly_changes():
    spectrum = STFT(LARGER)(tones(3200, dtype=F64)).mT[None]
    plan = STFT(LARGER).plan(spectrum.shape[1], 3200, spectrum.real)
    problem = PhaseProblem(MagnitudeTarget(spectrum.abs()), plan)
    inner, method = slice(4, -4), LWS()
    size = spectrum[:, inner].norm()
    change = (weighted_sums(spectrum, LARGER, 5) - spectrum)[:, inner].norm()
    assert change < 0.02 * size
    after = method.step(problem, method.init(problem, spectrum)).spectrum
    assert (after - spectrum)[:, inner].norm() < 0.01 * size
    # With more bins, only the frames whose weights are below 1 % are missing.
    assert (weighted_sums(spectrum, LARGER, 40) - spectrum)[:, inner].norm() < change


def test_iterations_help():
    # LWS counts frames outside as silence, so the padding is silent.
    convention = LARGER.replace(padding="center_zero")
    magnitude = magnitude_of(convention, 3200)

    def error_after(method, n_iter):
        return error(solve(method, magnitude, convention, n_iter).waveform, magnitude, convention)

    errors = [error_after(LWS(), n_iter) for n_iter in (0, 1, 5, 40)]
    assert errors == sorted(errors, reverse=True)
    plain = error_after(GriffinLim(), 40)
    assert errors[-1] < plain
    assert error_after(Then(LWS(), GriffinLim(0.99), 0.5), 40) < plain
    assert error_after(LWS(rtisi_iter=10), 40) < plain / 4


def test_lws_can_be_a_stage():
    magnitude, method = magnitude_of(LARGER, 3200), Then(LWS(), GriffinLim(0.99), 0.5)
    solution = solve(method, magnitude, LARGER, 40, return_info=True)
    plain = solve(GriffinLim(), magnitude, LARGER, 40, return_info=True)
    assert solution.residual < plain.residual
    assert solution.history.shape == (40,)


@pytest.mark.parametrize(("n_iter", "first"), [(0, 0), (4, 4), (10, 10), (32, 10)])
def test_rtisi_la_can_do_the_first_iterations(n_iter, first):
    method, magnitude = LWS(rtisi_iter=10), magnitude_of(SMALL)
    assert method.stages(n_iter) == [*RTISILA().stages(first)[:first], (method, n_iter - first)]
    assert LWS().stages(n_iter) == [(LWS(), n_iter)]
    schedule = Then(RTISILA(), LWS(), after=10)
    waveform = solve(method, magnitude, SMALL, n_iter).waveform
    expected = solve(schedule, magnitude, SMALL, n_iter).waveform
    torch.testing.assert_close(waveform, expected, atol=1e-12, rtol=0)


def test_zero_iterations_return_the_initial_spectrum():
    magnitude = magnitude_of(SMALL)
    waveform = solve(LWS(), magnitude, SMALL, 0, init="zero").waveform
    torch.testing.assert_close(waveform, STFT(SMALL).inverse(magnitude + 0j))


def test_the_initial_phase_matters_only_without_rtisi_la():
    magnitude = magnitude_of(SMALL)
    for method, matters in ((LWS(), True), (LWS(rtisi_iter=10), False)):
        zero, random = (
            solve(method, magnitude, SMALL, 12, init=init).waveform for init in ("zero", "random")
        )
        assert ((zero - random).abs().max() > 1e-6) == matters


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (F64, 1e-9)])
def test_items_of_a_batch_equal_single_items(dtype, tolerance, alpha):
    magnitude, method = magnitude_of(SMALL, items=(3,), dtype=dtype), LWS(alpha=alpha, rtisi_iter=2)
    lengths = torch.tensor([41, 3, 22])
    batch = solve(method, magnitude, SMALL, 6, lengths=lengths).waveform
    assert batch.dtype == dtype
    for item, length in enumerate(lengths.tolist()):
        alone = solve(method, magnitude[item, :, :length], SMALL, 6).waveform
        torch.testing.assert_close(batch[item, : len(alone)], alone, atol=tolerance, rtol=0)
        assert (batch[item, len(alone) :] == 0).all()
    batch = solve(method, magnitude, SMALL, 6).waveform
    assert torch.equal(batch[1], solve(method, magnitude[1], SMALL, 6).waveform)


def test_a_factor_of_the_magnitude_is_a_factor_of_the_waveform():
    magnitude, method = magnitude_of(SMALL, dtype=torch.float32), LWS(alpha=3.0, rtisi_iter=2)
    scaled = solve(method, 1024 * magnitude, SMALL, 6).waveform
    assert torch.equal(scaled, 1024 * solve(method, magnitude, SMALL, 6).waveform)


def test_a_bin_without_neighbors_keeps_its_magnitude():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    magnitude[:, 5:12] = 0
    magnitude[:, 20:30] = 0
    magnitude[4, 25] = 1
    magnitude.requires_grad_()
    waveform = solve(LWS(alpha=3.0, rtisi_iter=2), magnitude, SMALL, 6).waveform
    assert waveform[100:102].abs().max() > 0.01
    (gradient,) = torch.autograd.grad(waveform.square().sum(), magnitude)
    assert gradient.isfinite().all()


def test_silence_stays_silent_with_finite_gradients():
    silent = torch.zeros(9, 9, requires_grad=True)
    waveform = solve(LWS(rtisi_iter=2), silent, SMALL, 4).waveform
    assert (waveform == 0).all()
    assert torch.autograd.grad(waveform.sum(), silent)[0].isfinite().all()


def test_gradients_equal_finite_differences():
    convention = stft_convention(n_fft=8, hop_length=4)
    magnitude = (magnitude_of(convention, 16) + 0.05).requires_grad_()

    def waveform_of(magnitude):
        return solve(LWS(rtisi_iter=1), magnitude, convention, 3).waveform

    assert torch.autograd.gradcheck(waveform_of, magnitude, eps=1e-7, atol=1e-4)


def test_frames_that_do_not_overlap_are_finite():
    convention = SMALL.replace(hop_length=16, padding="none")
    magnitude = magnitude_of(convention)
    assert solve(LWS(rtisi_iter=1), magnitude, convention, 5).waveform.isfinite().all()


@pytest.mark.parametrize(
    "options",
    [
        {"bins": 0},
        {"bins": 2.5},
        {"alpha": -1},
        {"beta": None},
        {"gamma": float("inf")},
        {"rtisi_iter": -1},
    ],
    ids=str,
)
def test_invalid_parameters(options):
    with pytest.raises(InputError, match=next(iter(options))):
        LWS(**options)
