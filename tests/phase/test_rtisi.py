"""RTISI-LA: the paper's loops, causality, streaming frame by frame, and quality."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from tests.problems import stft_convention, tones
from tests.solve import solve
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.phase.bin_angle import window_center
from torchmelinv.phase.rtisi_tables import rtisi_tables
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.phases import LWS, RTISILA, GriffinLim, MelConsistent, Then
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.window import window_table

F64 = torch.float64
SMALL = stft_convention(n_fft=32, hop_length=8)
LARGER = stft_convention(n_fft=128, hop_length=32)


def magnitude_of(convention: STFTConvention, n_samples: int = 160, items=(), dtype=F64) -> Tensor:
    return STFT(convention)(tones(n_samples, items, dtype)).abs()


def error(waveform: Tensor, magnitude: Tensor, convention: STFTConvention) -> Tensor:
    """Return the spectral convergence of a waveform."""
    return (STFT(convention)(waveform).abs() - magnitude).norm() / magnitude.norm()


def transcription(
    magnitude: Tensor, convention: STFTConvention, look_ahead: int, n_iter: int, momentum: float
) -> Tensor:
    """Run Zhu et al. (2007) with the window sum of the arrived frames, over all samples."""
    n_fft, hop, n_frames = convention.n_fft, convention.hop_length, magnitude.shape[-1]
    window = window_table(convention)
    n_samples = hop * (n_frames - 1) + n_fft
    sumsquare = torch.zeros(n_samples + 20 * n_fft, dtype=F64)
    for first in range(0, len(sumsquare) - n_fft, hop):
        sumsquare[first : first + n_fft] += window**2
    floor = 0.01 * sumsquare.max()
    spectra: dict[int, Tensor] = {}

    def known_signal() -> Tensor:
        total, weight = torch.zeros(n_samples, dtype=F64), torch.zeros(n_samples, dtype=F64)
        for t, spectrum in spectra.items():
            total[t * hop : t * hop + n_fft] += window * torch.fft.irfft(spectrum, n=n_fft)
            weight[t * hop : t * hop + n_fft] += window**2
        return total / weight.clamp(min=floor)

    def frame_spectrum(x: Tensor, t: int) -> Tensor:
        return torch.fft.rfft(window * x[t * hop : t * hop + n_fft])

    bins = torch.arange(n_fft // 2 + 1, dtype=F64)
    angles = -2 * torch.pi * bins * window_center(convention) / n_fft
    centered = torch.polar(torch.ones_like(bins), angles)
    for newest in range(n_frames + look_ahead):
        buffer = [t for t in range(newest - look_ahead, newest + 1) if 0 <= t < n_frames]
        x = known_signal()
        for t in buffer:
            c = frame_spectrum(x, t)
            spectra[t] = magnitude[:, t] * torch.where(c == 0, centered, c.sgn())
        before = known_signal()
        for _ in range(n_iter - 1):
            x = known_signal()
            extrapolated = x + momentum * (x - before)
            for t in buffer:
                spectra[t] = magnitude[:, t] * frame_spectrum(extrapolated, t).sgn()
            before = x
    return STFT(convention).inverse(torch.stack([spectra[t] for t in range(n_frames)], -1))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    ("convention", "look_ahead"),
    [
        (SMALL, 0),
        (SMALL, 3),
        (SMALL, 5),
        (SMALL.replace(hop_length=12, padding="center_zero"), 1),
        (SMALL.replace(win_length=25, window="povey", window_align="left", padding="none"), 2),
        (SMALL.replace(win_length=20, padding="same_reflect", window_normalized=True), 2),
    ],
)
def test_lock_step_with_the_paper(convention, look_ahead, momentum):
    magnitude, method = magnitude_of(convention), RTISILA(look_ahead, momentum)
    for n_iter in (1, 2, 4):
        waveform = solve(method, magnitude, convention, n_iter).waveform
        expected = transcription(magnitude, convention, look_ahead, n_iter, momentum)
        torch.testing.assert_close(waveform, expected, atol=1e-7, rtol=0)


def test_the_default_look_ahead_is_all_overlapping_frames():
    assert RTISILA().latency(SMALL) == 3
    assert RTISILA().latency(SMALL.replace(hop_length=12)) == 2
    assert RTISILA().latency(SMALL.replace(win_length=16)) == 1
    assert RTISILA().latency(SMALL.replace(hop_length=32)) == 0
    assert RTISILA(7).latency(SMALL) == 7


@pytest.mark.parametrize("look_ahead", [0, 2, 3])
def test_frames_beyond_the_look_ahead_do_not_change_earlier_samples(look_ahead):
    magnitude = magnitude_of(SMALL, 320, dtype=torch.float32)
    changed = magnitude.clone()
    changed[:, 20:] = 37 * magnitude[:, 20:].flip(-1)
    original, other = (
        solve(RTISILA(look_ahead), each, SMALL, 3).waveform for each in (magnitude, changed)
    )
    # Where the first frame begins that may depend on frame 20.
    first = 8 * (20 - look_ahead) - SMALL.left_padding
    assert torch.equal(original[:first], other[:first])
    assert not torch.equal(original[: first + 8], other[: first + 8])


def test_advancing_frame_by_frame_equals_the_whole():
    """As in a stream: frames arrive one at a time, and each finishes hop_length samples."""
    magnitude = magnitude_of(SMALL, items=(2,))
    rows = pad(magnitude.mT, (0, 0, 0, 3))
    method = RTISILA(n_iter=4)
    buffer, tables = method.empty(SMALL, rows), rtisi_tables(SMALL, rows.dtype, rows.device)
    frames, samples = [], []
    for t in range(rows.shape[1]):
        present = torch.full((2, 1), float(t < magnitude.shape[-1]), dtype=F64)
        buffer = method.advance(tables, MagnitudeTarget, buffer, rows[:, t], present, t)
        frames.append(buffer.committed)
        samples.append(buffer.finished)
    expected = solve(RTISILA(), magnitude, SMALL, 4).waveform
    waveform = STFT(SMALL).inverse(torch.stack(frames[3:], -1))
    torch.testing.assert_close(waveform, expected, atol=1e-12, rtol=0)
    stream = torch.cat(samples[3:], -1)[:, SMALL.left_padding :]
    torch.testing.assert_close(stream, expected[:, : stream.shape[-1]], atol=1e-12, rtol=0)


def test_more_iterations_and_look_ahead_reduce_the_error():
    magnitude = magnitude_of(LARGER, 3200)

    def error_after(method, n_iter):
        return error(solve(method, magnitude, LARGER, n_iter).waveform, magnitude, LARGER)

    errors = {n_iter: error_after(RTISILA(), n_iter) for n_iter in (0, 1, 5, 20)}
    assert errors[20] < errors[5] < errors[1] < 0.7 * errors[0]
    assert errors[20] < error_after(GriffinLim(0.99), 20)
    assert errors[20] < error_after(RTISILA(look_ahead=0), 20) < errors[0]


def test_it_is_a_good_first_stage():
    magnitude, second = magnitude_of(LARGER, 3200), GriffinLim(0.99)
    with_rtisi, without = (
        error(solve(method, magnitude, LARGER, 10).waveform, magnitude, LARGER)
        for method in (Then(RTISILA(0), second, 1), second)
    )
    assert with_rtisi < without


def test_zero_iterations_return_the_initial_spectrum():
    magnitude = magnitude_of(SMALL)
    waveform = solve(RTISILA(), magnitude, SMALL, 0, init="zero").waveform
    torch.testing.assert_close(waveform, STFT(SMALL).inverse(magnitude + 0j))


def test_the_initial_phase_does_not_matter():
    """Bit for bit, in single precision and at a size where the recursion amplifies rounding."""
    convention = stft_convention(n_fft=256, hop_length=64)
    magnitude = STFT(convention)(tones(6400)).abs()
    expected = solve(RTISILA(), magnitude, convention, 5).waveform
    for options in ({"init": "zero"}, {"init": "pghi"}, {"seed": 1}):
        assert torch.equal(solve(RTISILA(), magnitude, convention, 5, **options).waveform, expected)


@pytest.mark.parametrize(
    "method", [RTISILA(), LWS(rtisi_iter=2), MelConsistent(RTISILA())], ids=str
)
def test_a_given_initial_phase_is_refused(method):
    magnitude = magnitude_of(SMALL)
    options = {
        "init_waveform": tones(160, dtype=F64),
        "init": torch.zeros_like(magnitude),
    }
    for name, value in options.items():
        with pytest.raises(InputError, match=f"{name}.* has no effect on .*finds its own phases"):
            solve(method, magnitude, SMALL, 3, **{name: value})


def test_the_pass_is_one_step_of_all_iterations():
    solution = solve(RTISILA(), magnitude_of(SMALL), SMALL, 6, return_info=True, tolerance=1e-9)
    assert solution.n_iter == 6
    assert solution.history.tolist() == [solution.residual] * 6


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_items_of_a_batch_equal_single_items(dtype):
    magnitude = magnitude_of(SMALL, items=(3,), dtype=dtype)
    lengths = torch.tensor([21, 3, 12])
    batch = solve(RTISILA(), magnitude, SMALL, 3, lengths=lengths).waveform
    assert batch.dtype == dtype
    for item, length in enumerate(lengths.tolist()):
        alone = solve(RTISILA(), magnitude[item, :, :length], SMALL, 3).waveform
        torch.testing.assert_close(batch[item, : len(alone)], alone, atol=1e-6, rtol=0)
        assert (batch[item, len(alone) :] == 0).all()
    batch = solve(RTISILA(), magnitude, SMALL, 3).waveform
    assert torch.equal(batch[1], solve(RTISILA(), magnitude[1], SMALL, 3).waveform)


def test_a_factor_of_the_magnitude_is_a_factor_of_the_waveform():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    scaled = solve(RTISILA(), 1024 * magnitude, SMALL, 4).waveform
    assert torch.equal(scaled, 1024 * solve(RTISILA(), magnitude, SMALL, 4).waveform)


def test_the_first_frame_after_silence_gets_a_phase():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    magnitude[:, 5:12] = 0
    magnitude.requires_grad_()
    waveform = solve(RTISILA(), magnitude, SMALL, 3).waveform
    assert waveform[8 * 14 :].abs().max() > 0.1
    (gradient,) = torch.autograd.grad(waveform.square().sum(), magnitude)
    assert gradient.isfinite().all()


def test_silence_stays_silent_with_finite_gradients():
    silent = torch.zeros(17, 9, requires_grad=True)
    waveform = solve(RTISILA(), silent, SMALL, 3).waveform
    assert (waveform == 0).all()
    assert torch.autograd.grad(waveform.sum(), silent)[0].isfinite().all()


def test_gradients_equal_finite_differences():
    convention = stft_convention(n_fft=8, hop_length=4)
    magnitude = (magnitude_of(convention, 16) + 0.05).requires_grad_()

    def waveform_of(magnitude):
        return solve(RTISILA(momentum=0.5), magnitude, convention, 3).waveform

    assert torch.autograd.gradcheck(waveform_of, magnitude, eps=1e-7, atol=1e-4)


def test_checkpointed_gradients_equal_unrolled_ones():
    convention = stft_convention(n_fft=8, hop_length=4)
    magnitude = (magnitude_of(convention, 16) + 0.05).requires_grad_()
    energies = (
        solve(RTISILA(), magnitude, convention, 3, gradient=mode).waveform.square().sum()
        for mode in ("unrolled", "checkpointed")
    )
    unrolled, checkpointed = (torch.autograd.grad(energy, magnitude)[0] for energy in energies)
    torch.testing.assert_close(checkpointed, unrolled)


@pytest.mark.parametrize("n_iter", [1, 4])
@pytest.mark.parametrize("window", ["povey", "hann_symmetric"])
def test_rounding_determines_no_sign_if_the_center_is_between_two_samples(window, n_iter):
    """Where all bins have angle 0 at the center, the bin at half of the sampling rate is 0."""
    convention = stft_convention(
        n_fft=16, hop_length=4, win_length=14, window=window, window_align="left", padding="none"
    )
    magnitude = magnitude_of(convention, 52) + 0.05
    expected = solve(RTISILA(), magnitude, convention, n_iter).waveform
    for _ in range(10):
        perturbed = magnitude * (1 + 1e-12 * torch.randn_like(magnitude))
        waveform = solve(RTISILA(), perturbed, convention, n_iter).waveform
        assert (waveform - expected).abs().max() < 1e-8


@pytest.mark.parametrize(
    "options",
    [{"look_ahead": -1}, {"look_ahead": 1.5}, {"momentum": -1}, {"momentum": None}, {"n_iter": 0}],
    ids=str,
)
def test_invalid_parameters(options):
    with pytest.raises(InputError, match=next(iter(options))):
        RTISILA(**options)


def test_a_hop_longer_than_the_frame_is_refused():
    convention = stft_convention(n_fft=128, hop_length=200)
    with pytest.raises(InputError, match="hop_length is 200"):
        solve(RTISILA(), torch.rand(65, 4), convention, 2)
