"""RTISI-LA: the paper's loops written out, what later frames must not change, and what one pass is worth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import frame_convention, tones
from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.phase.bin_angle import window_centre
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import MagnitudeTarget, Then
from torchmelinv.phase.retrieve import retrieve
from torchmelinv.phase.rtisi import RtisiLa, rtisi_la, rtisi_tables
from torchmelinv.window import window_table

F64 = torch.float64
SMALL = frame_convention(n_fft=32, hop_length=8)
LARGER = frame_convention(n_fft=128, hop_length=32)


def magnitude_of(convention: FrameConvention, n_samples: int = 160, items=(), dtype=F64) -> Tensor:
    return Frame(convention).analyse(tones(n_samples, items, dtype)).abs()


def error(waveform: Tensor, magnitude: Tensor, convention: FrameConvention) -> Tensor:
    return (Frame(convention).analyse(waveform).abs() - magnitude).norm() / magnitude.norm()


def transcription(magnitude: Tensor, convention: FrameConvention, look_ahead: int, n_iter: int, momentum: float) -> Tensor:
    """Zhu et al. (2007) with the envelope of the frames that are there, sample by sample over all of them."""
    n_fft, hop, n_frames = convention.n_fft, convention.hop_length, magnitude.shape[-1]
    window = window_table(convention)
    n_samples = hop * (n_frames - 1) + n_fft
    many = torch.zeros(n_samples + 20 * n_fft, dtype=F64)
    for start in range(0, len(many) - n_fft, hop):
        many[start : start + n_fft] += window**2
    floor = 0.01 * many.max()
    spectra: dict[int, Tensor] = {}

    def signal(present) -> Tensor:
        total, weight = torch.zeros(n_samples, dtype=F64), torch.zeros(n_samples, dtype=F64)
        for t in present:
            total[t * hop : t * hop + n_fft] += window * torch.fft.irfft(spectra[t], n=n_fft)
            weight[t * hop : t * hop + n_fft] += window**2
        return total / weight.clamp(min=floor)

    def analysed(x: Tensor, t: int) -> Tensor:
        return torch.fft.rfft(window * x[t * hop : t * hop + n_fft])

    bins = torch.arange(n_fft // 2 + 1, dtype=F64)
    centred = torch.polar(torch.ones_like(bins), -2 * torch.pi * bins * window_centre(convention) / n_fft)
    for newest in range(n_frames + look_ahead):
        buffer = [t for t in range(newest - look_ahead, newest + 1) if 0 <= t < n_frames]
        x = signal(spectra)
        for t in buffer:
            c = analysed(x, t)
            spectra[t] = magnitude[:, t] * torch.where(c == 0, centred, c.sgn())
        x = before = signal(spectra)
        for _ in range(n_iter - 1):
            x = signal(spectra)
            for t in buffer:
                spectra[t] = magnitude[:, t] * analysed(x + momentum * (x - before), t).sgn()
            before = x
    return Frame(convention).synthesise(torch.stack([spectra[t] for t in range(n_frames)], -1))


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
    magnitude = magnitude_of(convention)
    for n_iter in (1, 2, 4):
        ours = rtisi_la(magnitude, convention, n_iter, look_ahead, momentum)
        expected = transcription(magnitude, convention, look_ahead, n_iter, momentum)
        torch.testing.assert_close(ours, expected, atol=1e-7, rtol=0)


def test_look_ahead_reaches_by_itself_as_far_as_frames_overlap():
    assert RtisiLa().latency(SMALL) == 3
    assert RtisiLa().latency(SMALL.replace(hop_length=12)) == 2
    assert RtisiLa().latency(SMALL.replace(win_length=16)) == 1
    assert RtisiLa().latency(SMALL.replace(hop_length=32)) == 0
    assert RtisiLa(7).latency(SMALL) == 7


@pytest.mark.parametrize("look_ahead", [0, 2, 3])
def test_later_frames_do_not_reach_back(look_ahead):
    magnitude = magnitude_of(SMALL, 320, dtype=torch.float32)
    changed = magnitude.clone()
    changed[:, 20:] = 37 * magnitude[:, 20:].flip(-1)
    one, other = (rtisi_la(each, SMALL, 3, look_ahead) for each in (magnitude, changed))
    same = 8 * (20 - look_ahead) - SMALL.left_padding  # where the first frame begins that may know of frame 20
    assert torch.equal(one[:same], other[:same])
    assert not torch.equal(one[: same + 8], other[: same + 8])


def test_frame_by_frame_by_hand_is_the_same():
    """What a stream would do: frames come one at a time, samples leave a hop at a time."""
    magnitude = magnitude_of(SMALL, items=(2,))
    rows = torch.nn.functional.pad(magnitude.mT, (0, 0, 0, 3))
    method = RtisiLa(n_iter=4)
    buffer, tables = method.empty(SMALL, rows), rtisi_tables(SMALL, rows)
    frames, samples = [], []
    for t in range(rows.shape[1]):
        present = torch.full((2, 1), float(t < magnitude.shape[-1]), dtype=F64)
        buffer = method.advance(tables, MagnitudeTarget, buffer, rows[:, t], present)
        frames.append(buffer.committed)
        samples.append(buffer.finished)
    whole = rtisi_la(magnitude, SMALL, 4)
    torch.testing.assert_close(Frame(SMALL).synthesise(torch.stack(frames[3:], -1)), whole, atol=1e-12, rtol=0)
    stream = torch.cat(samples[3:], -1)[:, SMALL.left_padding :]
    torch.testing.assert_close(stream, whole[:, : stream.shape[-1]], atol=1e-12, rtol=0)


def test_what_a_pass_is_worth():
    magnitude = magnitude_of(LARGER, 3200)
    at = {n_iter: error(rtisi_la(magnitude, LARGER, n_iter), magnitude, LARGER) for n_iter in (0, 1, 5, 20)}
    assert at[20] < at[5] < at[1] < 0.7 * at[0]
    assert at[20] < error(retrieve(GriffinLim(0.99), magnitude, LARGER, 20).waveform, magnitude, LARGER)
    no_future = error(rtisi_la(magnitude, LARGER, 20, look_ahead=0), magnitude, LARGER)
    assert at[20] < no_future < at[0]


def test_it_starts_other_methods():
    magnitude = magnitude_of(LARGER, 3200)
    second = GriffinLim(0.99)
    ours, theirs = (retrieve(method, magnitude, LARGER, 10).waveform for method in (Then(RtisiLa(0), second, 1), second))
    assert error(ours, magnitude, LARGER) < error(theirs, magnitude, LARGER)


def test_no_iterations_is_the_start_and_no_start_matters_otherwise():
    magnitude = magnitude_of(SMALL)
    torch.testing.assert_close(rtisi_la(magnitude, SMALL, 0, start="zero"), Frame(SMALL).synthesise(magnitude + 0j))
    one, other = (rtisi_la(magnitude, SMALL, 2, start=start) for start in ("zero", "random"))
    torch.testing.assert_close(one, other, atol=1e-9, rtol=0)


def test_the_account_counts_one_step():
    solution = retrieve(RtisiLa(), magnitude_of(SMALL), SMALL, 6, account=True, tolerance=1e-9)
    assert solution.steps == 1
    assert solution.history.shape == (6,)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_items_are_alone(dtype):
    magnitude = magnitude_of(SMALL, items=(3,), dtype=dtype)
    lengths = torch.tensor([21, 3, 12])
    batch = rtisi_la(magnitude, SMALL, 3, lengths=lengths)
    assert batch.dtype == dtype
    for item, length in enumerate(lengths.tolist()):
        alone = rtisi_la(magnitude[item, :, :length], SMALL, 3)
        torch.testing.assert_close(batch[item, : len(alone)], alone, atol=1e-6, rtol=0)
        assert (batch[item, len(alone) :] == 0).all()
    assert torch.equal(rtisi_la(magnitude, SMALL, 3)[1], rtisi_la(magnitude[1], SMALL, 3))


def test_scale():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    assert torch.equal(rtisi_la(1024 * magnitude, SMALL, 4), 1024 * rtisi_la(magnitude, SMALL, 4))


def test_silence():
    magnitude = magnitude_of(SMALL, dtype=torch.float32)
    magnitude[:, 5:12] = 0
    magnitude.requires_grad_()
    waveform = rtisi_la(magnitude, SMALL, 3)
    assert waveform[8 * 14 :].abs().max() > 0.1  # the first frame after silence finds a phase
    (gradient,) = torch.autograd.grad(waveform.square().sum(), magnitude)
    assert gradient.isfinite().all()
    silent = torch.zeros(17, 9, requires_grad=True)
    waveform = rtisi_la(silent, SMALL, 3)
    assert (waveform == 0).all()
    assert torch.autograd.grad(waveform.sum(), silent)[0].isfinite().all()


def test_gradients_are_finite_differences():
    convention = frame_convention(n_fft=8, hop_length=4)
    magnitude = (magnitude_of(convention, 16) + 0.05).requires_grad_()
    function = lambda m: rtisi_la(m, convention, 3, momentum=0.5)  # noqa: E731
    assert torch.autograd.gradcheck(function, magnitude, eps=1e-7, atol=1e-4)
    one, other = (
        torch.autograd.grad(rtisi_la(magnitude, convention, 3, gradient=gradient).square().sum(), magnitude)[0]
        for gradient in ("unrolled", "checkpointed")
    )
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("n_iter", [1, 4])
@pytest.mark.parametrize("window", ["povey", "hann_symmetric"])
def test_a_window_centred_between_samples_leaves_no_sign_to_rounding(window, n_iter):
    """At half of the sampling rate such a window sees nothing of a frame whose bins all begin with angle 0 at its centre."""
    convention = frame_convention(n_fft=16, hop_length=4, win_length=14, window=window, window_align="left", padding="none")
    magnitude = magnitude_of(convention, 52) + 0.05
    expected = rtisi_la(magnitude, convention, n_iter)
    for _ in range(10):
        moved = rtisi_la(magnitude * (1 + 1e-12 * torch.randn_like(magnitude)), convention, n_iter) - expected
        assert moved.abs().max() < 1e-8


@pytest.mark.parametrize("wrong", [{"look_ahead": -1}, {"look_ahead": 1.5}, {"momentum": -1}, {"momentum": None}, {"n_iter": 0}])
def test_refusals(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        RtisiLa(**wrong)


def test_the_start_does_not_matter():
    """Not to the last bit, in single precision and at a size where the recursion would amplify it."""
    frame = frame_convention(n_fft=256, hop_length=64)
    magnitude = Frame(frame).analyse(tones(6400)).abs()
    expected = rtisi_la(magnitude, frame, 5)
    for options in ({"start": "zero"}, {"start": "pghi"}, {"seed": 1}, {"start_waveform": tones(6400).flip(-1)}):
        assert torch.equal(rtisi_la(magnitude, frame, 5, **options), expected)


def test_hops_beyond_the_frame_are_refused():
    with pytest.raises(InputError, match="hop_length is 200"):
        rtisi_la(torch.rand(65, 4), frame_convention(n_fft=128, hop_length=200), 2)
