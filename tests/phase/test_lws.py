"""Local weighted sums: the kernel against analysis after synthesis as a matrix, the recursion bin by bin, what it is worth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import frame_convention, tones
from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.lws import LEAST_WEIGHT, Lws, consistency_kernel, lws, weighted_sums
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem, Then
from torchmelinv.phase.retrieve import retrieve
from torchmelinv.phase.rtisi import RtisiLa, rtisi_la

F64 = torch.float64
SMALL = frame_convention(n_fft=16, hop_length=4)
LARGER = frame_convention(n_fft=128, hop_length=32)
CONVENTIONS = pytest.mark.parametrize(
    "convention",
    [
        SMALL,
        SMALL.replace(hop_length=6),
        SMALL.replace(hop_length=5, padding="center_zero", window="hann_symmetric"),
        SMALL.replace(n_fft=15, hop_length=4, padding="none", window_normalized=True),
        SMALL.replace(win_length=11, hop_length=3, window="povey", window_align="left", padding="none"),
    ],
)


def magnitude_of(convention: FrameConvention, n_samples: int = 160, items=(), dtype=F64) -> Tensor:
    return Frame(convention).analyse(tones(n_samples, items, dtype)).abs()


def error(waveform: Tensor, magnitude: Tensor, convention: FrameConvention) -> Tensor:
    return (Frame(convention).analyse(waveform).abs() - magnitude).norm() / magnitude.norm()


def responses(convention: FrameConvention) -> tuple[Tensor, int]:
    """P_C by brute force: what the frame in the middle answers to 1 and to i in each bin of each frame, and which it is."""
    frames, n_freqs = 21, convention.n_freqs
    plan = Frame(convention).plan(frames, Frame(convention).natural_samples(frames), torch.zeros(0, dtype=F64))
    unit = torch.eye(frames * n_freqs, dtype=torch.complex128).reshape(-1, frames, n_freqs)
    answers = torch.stack([plan.consistent(unit)[:, 10], plan.consistent(1j * unit)[:, 10]], 1)
    return answers.reshape(frames, n_freqs, 2, n_freqs), 10


@CONVENTIONS
def test_the_kernel_is_analysis_after_synthesis(convention):
    """Every bin's true answer to every bin of every frame, the mirrored half of the spectrum included."""
    n_fft, hop, n_freqs = convention.n_fft, convention.hop_length, convention.n_freqs
    kernel = consistency_kernel(convention, n_fft)  # so wide that every difference of bins has its weight
    reach = len(kernel) // 2
    answers, middle = responses(convention)
    for frame in range(21):
        q = middle - frame
        for source in range(n_freqs):
            for part, value in enumerate((1, 1j)):
                lone = source == 0 or 2 * source == n_fft
                if lone and part:
                    continue  # what irfft does with the imaginary part of a real bin is not the kernel's matter
                expected = torch.zeros(n_freqs, dtype=torch.complex128)
                for k in range(n_freqs) if abs(q) <= reach else ():
                    for bin_, entry in [(source, value)] + [(-source, complex(value).conjugate())] * (not lone):
                        turn = torch.tensor(2j * torch.pi * bin_ * q * hop / n_fft, dtype=torch.complex128).exp()
                        expected[k] += kernel[reach + q, n_fft + k - bin_] * turn * entry
                torch.testing.assert_close(answers[frame, source, part], expected, atol=1e-12, rtol=0)


def sums_by_loops(c: Tensor, convention: FrameConvention, bins: int) -> Tensor:
    """The weighted sum of one item's spectrum (frames, n_freqs), bin by bin as the paper writes it."""
    n_fft, hop = convention.n_fft, convention.hop_length
    kernel = consistency_kernel(convention, bins)
    reach = len(kernel) // 2
    centre = kernel[reach, bins].real
    result = torch.zeros_like(c)
    for t in range(c.shape[0]):
        for k in range(c.shape[1]):
            for q in range(-reach, reach + 1):
                if not 0 <= t - q < c.shape[0] or kernel[reach + q].abs().max() <= LEAST_WEIGHT * centre:
                    continue
                for p in range(-bins, bins + 1):
                    if p == q == 0:
                        continue
                    bin_ = (k - p) % n_fft
                    entry = c[t - q, bin_] if bin_ < c.shape[1] else c[t - q, n_fft - bin_].conj()
                    turn = torch.tensor(2j * torch.pi * (k - p) * q * hop / n_fft, dtype=torch.complex128).exp()
                    result[t, k] += kernel[reach + q, bins + p] * turn * entry
    return result / (1 - centre)


@CONVENTIONS
@pytest.mark.parametrize("bins", [1, 2, 5])
def test_weighted_sums(convention, bins):
    c = torch.randn(2, 7, convention.n_freqs, dtype=torch.complex128, generator=torch.Generator().manual_seed(3))
    found = weighted_sums(c, convention, bins)
    for item in range(2):
        torch.testing.assert_close(found[item], sums_by_loops(c[item], convention, bins), atol=1e-10, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_lock_step_with_the_paper(alpha):
    """From the frame-by-frame start: c ← A · phase of the sum where |c| is above the falling threshold."""
    magnitude = magnitude_of(SMALL, 60)
    frame = Frame(SMALL)
    spectrum = frame.analyse(rtisi_la(magnitude, SMALL, 1, look_ahead=0))
    c = (magnitude * spectrum.sgn()).mT.contiguous()
    for n_iter in range(1, 6):
        ours = lws(magnitude, SMALL, n_iter, bins=2, alpha=alpha, beta=0.7, gamma=1.5)
        expected = frame.synthesise(c.mT) if n_iter > 1 else frame.synthesise(spectrum)
        torch.testing.assert_close(ours, expected, atol=1e-7, rtol=0)
        threshold = alpha * torch.tensor(-0.7 * (n_iter - 1) ** 1.5, dtype=F64).exp() * magnitude.mean()
        c = torch.where(magnitude.mT > threshold, magnitude.mT * sums_by_loops(c, SMALL, 2).sgn(), c)


def test_a_consistent_spectrum_nearly_stays():
    spectrum = Frame(LARGER).analyse(tones(3200, dtype=F64)).mT[None]
    plan = Frame(LARGER).plan(spectrum.shape[1], 3200, spectrum.real)
    problem = PhaseProblem(MagnitudeTarget(spectrum.abs()), plan)
    inner = slice(4, -4)
    moved = weighted_sums(spectrum, LARGER, 5) - spectrum
    assert moved[:, inner].norm() < 0.02 * spectrum[:, inner].norm()
    method = Lws()
    after = method.step(problem, method.init(problem, spectrum)).spectrum
    assert (after - spectrum)[:, inner].norm() < 0.01 * spectrum[:, inner].norm()
    wide = weighted_sums(spectrum, LARGER, 40) - spectrum  # what is left are the frames whose weights are below 1 %
    assert wide[:, inner].norm() < moved[:, inner].norm()


def test_iterations_pay():
    magnitude = magnitude_of(LARGER, 3200)
    at = {n_iter: error(lws(magnitude, LARGER, n_iter), magnitude, LARGER) for n_iter in (0, 1, 5, 40)}
    assert at[40] < at[5] < at[1] < 0.7 * at[0]  # the first is the one without future; before it, the random start
    plain = error(retrieve(GriffinLim(), magnitude, LARGER, 40).waveform, magnitude, LARGER)
    assert at[40] < plain
    then = retrieve(Then(Lws(), GriffinLim(0.99), 0.5), magnitude, LARGER, 40, account=True)
    assert error(then.waveform, magnitude, LARGER) < plain
    assert then.history.shape == (40,)


def test_the_first_iteration_is_without_future_unless_a_start_is_given():
    magnitude = magnitude_of(SMALL)
    schedule = Then(RtisiLa(look_ahead=0), Lws(), after=1)
    torch.testing.assert_close(lws(magnitude, SMALL, 4), retrieve(schedule, magnitude, SMALL, 4).waveform)
    torch.testing.assert_close(lws(magnitude, SMALL, 4, start_waveform=None), lws(magnitude, SMALL, 4))
    for start in ("random", "spsi", "pghi"):
        given = retrieve(Lws(), magnitude, SMALL, 4, start=start).waveform
        torch.testing.assert_close(lws(magnitude, SMALL, 4, start=start), given)
    torch.testing.assert_close(lws(magnitude, SMALL, 0, start="zero"), Frame(SMALL).synthesise(magnitude + 0j))


@pytest.mark.parametrize("alpha", [0.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_items_are_alone(dtype, alpha):
    magnitude = magnitude_of(SMALL, items=(3,), dtype=dtype)
    lengths = torch.tensor([41, 3, 22])
    batch = lws(magnitude, SMALL, 6, alpha=alpha, lengths=lengths)
    assert batch.dtype == dtype
    for item, length in enumerate(lengths.tolist()):
        alone = lws(magnitude[item, :, :length], SMALL, 6, alpha=alpha)
        torch.testing.assert_close(batch[item, : len(alone)], alone, atol=2e-5 if dtype == torch.float32 else 1e-9, rtol=0)
        assert (batch[item, len(alone) :] == 0).all()
    assert torch.equal(lws(magnitude, SMALL, 6, alpha=alpha)[1], lws(magnitude[1], SMALL, 6, alpha=alpha))


def test_scale():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    assert torch.equal(lws(1024 * magnitude, SMALL, 6, alpha=3.0), 1024 * lws(magnitude, SMALL, 6, alpha=3.0))


def test_silence():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    magnitude[:, 5:12] = 0
    magnitude[:, 20:30] = 0
    magnitude[4, 25] = 1  # a bin without any neighbour stays as loud as it is asked to be
    magnitude.requires_grad_()
    waveform = lws(magnitude, SMALL, 6, alpha=3.0)
    assert waveform[100:102].abs().max() > 0.01
    (gradient,) = torch.autograd.grad(waveform.square().sum(), magnitude)
    assert gradient.isfinite().all()
    silent = torch.zeros(9, 9, requires_grad=True)
    waveform = lws(silent, SMALL, 4)
    assert (waveform == 0).all()
    assert torch.autograd.grad(waveform.sum(), silent)[0].isfinite().all()


def test_gradients_are_finite_differences():
    convention = frame_convention(n_fft=8, hop_length=4)
    magnitude = (magnitude_of(convention, 16) + 0.05).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: lws(m, convention, 3), magnitude, eps=1e-7, atol=1e-4)


def test_frames_that_do_not_overlap_keep_their_phase():
    convention = SMALL.replace(hop_length=16, padding="none")
    magnitude = magnitude_of(convention)
    assert lws(magnitude, convention, 5).isfinite().all()


@pytest.mark.parametrize("wrong", [{"bins": 0}, {"bins": 2.5}, {"alpha": -1}, {"beta": None}, {"gamma": float("inf")}])
def test_refusals(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Lws(**wrong)
