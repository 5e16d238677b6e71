"""What `reconstruct` gives every method: lengths, initial phases, stopping and diagnostics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import PADDINGS, stft_convention, tones
from tests.solve import solve
from torchmelinv.phases import GriffinLim
from torchmelinv.transforms.stft import STFT

FAST = GriffinLim(0.99)
CONVENTION = stft_convention()
KALDI = stft_convention(
    padding="none",
    window="povey",
    window_align="left",
    win_length=50,
    hop_length=10,
    remove_dc=True,
    pre_emphasis=0.97,
)


def magnitude_of(
    n_samples: int = 640, items: tuple[int, ...] = (3,), convention=CONVENTION
) -> Tensor:
    return STFT(convention)(tones(n_samples, items, torch.float64)).abs()


def no_op_hook(iteration: int, state: object) -> None:
    """Do nothing. With a hook the items iterate as one batch, as on an accelerator."""


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("hook", [None, no_op_hook])
def test_items_of_a_padded_batch_equal_single_items(padding, hook):
    convention = stft_convention(padding=padding)
    magnitude = magnitude_of(convention=convention)
    lengths = torch.tensor([magnitude.shape[-1], 17, 1])
    magnitude[1, :, 17:] = 7  # padding, which must not matter
    batch = solve(FAST, magnitude, convention, 8, lengths=lengths, hook=hook).waveform
    for item, count, waveform in zip(magnitude, lengths.tolist(), batch, strict=True):
        alone = solve(FAST, item[:, :count], convention, 8).waveform
        n_samples = min(alone.shape[-1], batch.shape[-1])
        torch.testing.assert_close(waveform[:n_samples], alone[:n_samples], atol=1e-9, rtol=0)
        assert (waveform[n_samples:] == 0).all()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("hook", [None, no_op_hook])
def test_items_with_their_own_length_equal_single_items(padding, hook):
    convention = stft_convention(padding=padding)
    magnitude = magnitude_of(647, convention=convention)
    length = torch.tensor([647, 70, 641])
    options = {"hook": hook, "init_waveform": tones(647, (3,), torch.float64)}
    for counts in (None, [magnitude.shape[-1], 7, magnitude.shape[-1]]):
        batch = solve(
            FAST, magnitude, convention, 4, lengths=counts, length=length, **options
        ).waveform
        assert batch.shape == (3, 647)
        for i, n in enumerate(length.tolist()):
            end = None if counts is None else counts[i]
            alone = solve(
                FAST,
                magnitude[i, :, :end],
                convention,
                4,
                length=n,
                init_waveform=options["init_waveform"][i],
            ).waveform
            torch.testing.assert_close(batch[i, :n], alone, atol=1e-9, rtol=0)
            assert not batch[i, n:].any()


def test_the_shape_of_length_is_that_of_the_items():
    magnitude = magnitude_of()
    number = solve(FAST, magnitude[0], CONVENTION, 4, length=600).waveform
    alone = solve(FAST, magnitude[0], CONVENTION, 4, length=torch.tensor(600)).waveform
    torch.testing.assert_close(alone, number, atol=1e-9, rtol=0)
    channels = solve(FAST, magnitude[None], CONVENTION, 4, length=[[640, 600, 9]], channels=True)
    assert channels.waveform.shape == (1, 3, 640)
    assert [int(each.nonzero().max()) for each in channels.waveform[0]] == [639, 599, 8]


@pytest.mark.parametrize("padding", PADDINGS)
def test_length(padding):
    convention = stft_convention(padding=padding)
    magnitude = magnitude_of(n_samples=647, convention=convention)
    default = solve(FAST, magnitude, convention, 4).waveform
    assert default.shape == (3, convention.n_samples(magnitude.shape[-1]))
    for length in (647, 100, 2000):
        waveform = solve(FAST, magnitude, convention, 4, length=length).waveform
        assert waveform.shape == (3, length)
    assert (waveform[:, 1500:] == 0).all()
    # The samples at the end are reconstructed where a frame reaches them.
    end = solve(FAST, magnitude, convention, 4, length=647).waveform[:, 640:]
    assert (end.abs().max() > 0) == (padding != "none")


@pytest.mark.parametrize(
    "convention", [stft_convention(), stft_convention(padding="same_reflect"), KALDI]
)
def test_lengths_and_length_together(convention):
    magnitude = magnitude_of(n_samples=647, convention=convention, items=(2,))
    lengths = torch.full((2,), magnitude.shape[-1])
    expected = solve(FAST, magnitude, convention, 4, length=647).waveform
    waveform = solve(FAST, magnitude, convention, 4, lengths=lengths, length=647).waveform
    torch.testing.assert_close(waveform, expected, atol=1e-9, rtol=0)


def test_de_emphasis_does_not_extend_a_shorter_item():
    magnitude = magnitude_of(convention=KALDI, items=(2,))
    batch = solve(FAST, magnitude, KALDI, 3, lengths=[magnitude.shape[-1], 5]).waveform
    alone = solve(FAST, magnitude[1, :, :5], KALDI, 3).waveform
    assert (batch[1, len(alone) :] == 0).all()
    torch.testing.assert_close(batch[1, : len(alone)], alone, atol=1e-9, rtol=0)


def test_the_phase_of_init_waveform_is_that_of_its_pre_emphasized_frames():
    expected = tones(640, dtype=torch.float64)
    expected[:64] = 0
    convention = KALDI.replace(remove_dc=False)
    magnitude = STFT(convention)(expected).abs()
    options = {"init_waveform": expected, "length": 640}
    waveform = solve(FAST, magnitude, convention, 0, **options).waveform
    torch.testing.assert_close(waveform[80:600], expected[80:600], atol=1e-6, rtol=0)


def test_the_tolerance_stops_each_item_independently():
    magnitude = magnitude_of()
    magnitude[1] = 0
    solution = solve(FAST, magnitude, CONVENTION, 400, tolerance=3e-3, return_info=True)
    assert solution.converged.tolist() == [True, True, True]
    assert solution.n_iter[1] == 1  # silence does not change
    assert (solution.n_iter < 400).all()
    for item in (0, 2):
        n_iter = int(solution.n_iter[item])
        expected = solve(FAST, magnitude[item], CONVENTION, n_iter).waveform
        torch.testing.assert_close(solution.waveform[item], expected)
        assert (solution.history[n_iter - 1 :, item] == solution.history[n_iter - 1, item]).all()
    assert solution.history.shape == (400, 3)


def test_the_diagnostics_describe_the_waveform():
    magnitude = magnitude_of(items=(2, 2))
    solution = solve(FAST, magnitude, CONVENTION, 12, return_info=True)
    error = (STFT(CONVENTION)(solution.waveform).abs() - magnitude).flatten(-2)
    expected = error.norm(dim=-1) / magnitude.flatten(-2).norm(dim=-1)
    torch.testing.assert_close(solution.residual, expected)
    torch.testing.assert_close(solution.history[-1], expected)
    assert solution.n_iter.tolist() == [[12, 12], [12, 12]]
    assert not solution.converged.any()


def test_keep_best_returns_the_iterate_with_the_smallest_residual():
    magnitude, method = magnitude_of(items=()), GriffinLim(1.3)
    best = solve(method, magnitude, CONVENTION, 30, return_info=True, keep_best=True)
    torch.testing.assert_close(best.residual, best.history.min())
    assert best.residual < best.history[-1]
    without_info = solve(method, magnitude, CONVENTION, 30, keep_best=True)
    assert torch.equal(best.waveform, without_info.waveform)


def test_the_hook_is_called_after_each_iteration():
    calls = []

    def hook(iteration, state):
        calls.append((iteration, state.signal.shape))

    solve(FAST, magnitude_of(), CONVENTION, 5, hook=hook)
    assert calls == [(i, (3, 640)) for i in range(5)]


def test_a_magnitude_of_zero_gives_exact_silence():
    assert (solve(FAST, torch.zeros(33, 9), CONVENTION, 5).waveform == 0).all()
