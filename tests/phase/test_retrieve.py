"""What every phase method gets from `retrieve`: lengths, starts, stopping, the account, and clear refusals."""

from __future__ import annotations

import pytest
import torch

from tests.problems import PADDINGS, frame_convention, tones
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.functional import griffin_lim
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.retrieve import retrieve

FAST = GriffinLim(0.99)
FRAME = frame_convention()
KALDI = frame_convention(
    padding="none", window="povey", window_align="left", win_length=50, hop_length=10, remove_dc=True, pre_emphasis=0.97
)


def magnitude(n_samples: int = 640, items: tuple[int, ...] = (3,), frame=FRAME) -> torch.Tensor:
    return Frame(frame).analyse(tones(n_samples, items, torch.float64)).abs()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("together", [False, True])
def test_items_of_a_padded_batch_are_as_if_alone(padding, together):
    frame = frame_convention(padding=padding)
    target = magnitude(frame=frame)
    lengths = torch.tensor([target.shape[-1], 17, 1])
    target[1, :, 17:] = 7  # whatever stands there
    hook = (lambda iteration, state: None) if together else None  # with a hook the batch iterates as a whole, as on a GPU
    batch = retrieve(FAST, target, frame, 8, lengths=lengths, hook=hook).waveform
    for item, count, waveform in zip(target, lengths.tolist(), batch, strict=True):
        alone = retrieve(FAST, item[:, :count], frame, 8).waveform
        n_samples = min(alone.shape[-1], batch.shape[-1])
        torch.testing.assert_close(waveform[:n_samples], alone[:n_samples], atol=1e-9, rtol=0)
        assert (waveform[n_samples:] == 0).all()


@pytest.mark.parametrize("padding", PADDINGS)
def test_length(padding):
    frame = frame_convention(padding=padding)
    target = magnitude(n_samples=647, frame=frame)
    natural = retrieve(FAST, target, frame, 4).waveform
    assert natural.shape == (3, frame.n_samples(target.shape[-1]))
    for length in (647, 100, 2000):
        waveform = retrieve(FAST, target, frame, 4, length=length).waveform
        assert waveform.shape == (3, length)
    assert (waveform[:, 1500:] == 0).all()
    tail = retrieve(FAST, target, frame, 4, length=647).waveform[:, 640:]
    assert (tail.abs().max() > 0) == (padding != "none")  # iterated too, where a frame reaches it


@pytest.mark.parametrize("frame", [frame_convention(), frame_convention(padding="same_reflect"), KALDI])
def test_lengths_and_length_together(frame):
    target = magnitude(n_samples=647, frame=frame, items=(2,))
    n_frames = target.shape[-1]
    alone = retrieve(FAST, target, frame, 4, length=647).waveform
    together = retrieve(FAST, target, frame, 4, lengths=[n_frames, n_frames], length=647).waveform
    torch.testing.assert_close(together, alone, atol=1e-9, rtol=0)


def test_items_end_where_they_would_alone_also_after_de_emphasis():
    target = magnitude(frame=KALDI, items=(2,))
    batch = retrieve(FAST, target, KALDI, 3, lengths=[target.shape[-1], 5]).waveform
    alone = retrieve(FAST, target[1, :, :5], KALDI, 3).waveform
    assert (batch[1, len(alone) :] == 0).all()
    torch.testing.assert_close(batch[1, : len(alone)], alone, atol=1e-9, rtol=0)


def test_a_lent_phase_is_that_of_the_emphasised_frames():
    waveform = tones(640, dtype=torch.float64)
    waveform[:64] = 0
    frame = KALDI.replace(remove_dc=False)
    target = Frame(frame).analyse(waveform).abs()
    found = retrieve(FAST, target, frame, 0, start_waveform=waveform, length=640).waveform
    torch.testing.assert_close(found[80:600], waveform[80:600], atol=1e-6, rtol=0)


def test_tolerance_stops_each_item_for_itself():
    target = magnitude()
    target[1] = 0
    solution = retrieve(FAST, target, FRAME, 400, tolerance=3e-3, account=True)
    assert solution.converged.tolist() == [True, True, True]
    assert solution.steps[1] == 1  # silence has nothing to move
    assert (solution.steps < 400).all()
    for item in (0, 2):
        steps = int(solution.steps[item])
        torch.testing.assert_close(retrieve(FAST, target[item], FRAME, steps).waveform, solution.waveform[item])
        assert (solution.history[steps - 1 :, item] == solution.history[steps - 1, item]).all()
    assert solution.history.shape == (400, 3)


def test_the_account_agrees_with_itself():
    target = magnitude(items=(2, 2))
    solution = retrieve(FAST, target, FRAME, 12, account=True)
    found = Frame(FRAME).analyse(solution.waveform).abs()
    expected = (found - target).flatten(-2).norm(dim=-1) / target.flatten(-2).norm(dim=-1)
    torch.testing.assert_close(solution.residual, expected)
    torch.testing.assert_close(solution.history[-1], expected)
    assert solution.steps.tolist() == [[12, 12], [12, 12]]
    assert not solution.converged.any()


def test_keep_best_never_returns_worse():
    target = magnitude(items=())
    best = retrieve(GriffinLim(1.3), target, FRAME, 30, account=True, keep_best=True)
    torch.testing.assert_close(best.residual, best.history.min())
    assert best.residual < best.history[-1]
    assert torch.equal(best.waveform, griffin_lim(target, FRAME, 30, 1.3, keep_best=True))


def test_hooks_see_every_iteration():
    seen = []
    retrieve(FAST, magnitude(), FRAME, 5, hook=lambda iteration, state: seen.append((iteration, state.signal.shape)))
    assert seen == [(i, (3, 640)) for i in range(5)]


def test_zero_magnitude_gives_exact_silence():
    assert (retrieve(FAST, torch.zeros(33, 9), FRAME, 5).waveform == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_iter": -1}, "n_iter"),
        ({"n_iter": 2.5}, "n_iter"),
        ({"gradient": "implicit"}, "gradient"),
        ({"start": "spectral"}, "start"),
        ({"start": torch.zeros(3, 3)}, "angles"),
        ({"seed": 1.5}, "seed"),
        ({"length": -5}, "length"),
        ({"tolerance": -1}, "tolerance"),
        ({"lengths": [1, 2]}, "lengths"),
        ({"start_waveform": torch.zeros(640)}, "start_waveform"),
        ({"magnitude": torch.zeros(32, 9)}, r"\(…, 33, n_frames ≥ 1\)"),
        ({"magnitude": torch.zeros(33, 9, dtype=torch.complex64)}, "complex"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(InputError, match=message):
        retrieve(FAST, options.pop("magnitude", magnitude()), FRAME, **options)
