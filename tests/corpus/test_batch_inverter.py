"""BatchInverter on an accelerator: all mels of a batch together, and few waits for the device."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import ClassVar

import pytest
import torch

from tests.pretended_device import pretended_device, recording
from tests.tiny import TINY, tiny_mel
from torchmelinv.corpus import batch_inverter, inversion
from torchmelinv.corpus.batch_inverter import BatchInverter
from torchmelinv.corpus.batching import BatchLimit
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.corpus.loading import MelItem
from torchmelinv.invert import MelInverter

INVERTER = MelInverter(TINY, n_iter=2)
LIMIT = BatchLimit(64, 10**6)


def items_of(n_items: int, inverter: MelInverter = INVERTER) -> list[MelItem]:
    mels = [tiny_mel(0.05 + 0.002 * index, seed=index) for index in range(n_items)]
    return [MelItem(index, mel) for index, mel in enumerate(mels)]


def test_launches_do_not_grow_with_the_batch_and_the_host_waits_only_for_results():
    launches, waits = [], []
    with pretended_device() as device:
        batches = BatchInverter(INVERTER, device, LIMIT)
        for n_items in (2, 6, 2, 6):  # the first calls make tables
            with recording() as record:
                results = batches.invert(items_of(n_items))
            assert [result.error for result in results] == [None] * n_items
            launches.append(record.launches)
            waits.append(record.waits.total())
    assert waits[1:] == [2, 2, 2], record.waits
    assert launches[2] == launches[3]


@pytest.mark.parametrize("convention", [TINY, TINY.replace(padding="none")])
def test_a_batch_gives_what_its_mels_alone_give(convention):
    """Up to rounding: the waveform, the mel error, and whether the restoration changed the mel."""
    inverter = MelInverter(convention, n_iter=2)
    batches = BatchInverter(inverter, torch.device("cpu"), LIMIT)
    smeared = tiny_mel(0.2)[:, :100].clone()
    smeared[:, 1::2] = smeared[:, ::2]
    mels = [*(item.mel for item in items_of(5)), smeared]
    alone = batches.invert_mels(mels)
    together = batches._invert_together(mels)
    assert [outcome[2] for outcome in together] == [outcome[2] for outcome in alone]
    for (waveform, error, _), (expected, expected_error, _) in zip(together, alone, strict=True):
        assert waveform.shape == expected.shape
        assert (waveform - expected).abs().max() < 1e-4 * expected.abs().max()
        assert error == pytest.approx(expected_error, abs=1e-3)


@pytest.mark.parametrize("fields", [{}, {"padding": "none"}, {"drop_last_frame": True}])
def test_mels_of_few_frames_are_measured_beside_longer_ones(fields):
    """Their waveforms, of at least a hop, may have more frames than they."""
    inverter = MelInverter(TINY.replace(**fields), n_iter=2)
    batches = BatchInverter(inverter, torch.device("cpu"), LIMIT)
    mels = [tiny_mel(0.05)[:, :n_frames] for n_frames in (1, 2, 3, 9)]
    alone, together = batches.invert_mels(mels), batches._invert_together(mels)
    for result, expected in zip(together, alone, strict=True):
        assert result.waveform.shape == expected.waveform.shape
        assert result.mel_error_db == pytest.approx(expected.mel_error_db, abs=1e-3)
        assert math.isfinite(result.mel_error_db)


class Accelerator(BatchInverter):
    """The CPU in the place of an accelerator; it notes the thread of each batch."""

    threads: ClassVar[list[int]] = []
    started: ClassVar = threading.Event()

    def __init__(self, inverter, device, limit):
        super().__init__(inverter, torch.device("cpu"), limit)
        self.device = torch.device("meta")

    def _move(self, tensor):
        return tensor

    def invert(self, items):
        self.threads.append(threading.get_ident())
        if len(self.threads) > 1:
            self.started.set()
        return super().invert(items)


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr(inversion, "BatchInverter", Accelerator)
    monkeypatch.setattr(batch_inverter, "lack_of_memory", lambda *_: None)
    Accelerator.threads, Accelerator.started = [], threading.Event()
    return Accelerator


def test_an_accelerator_inverts_the_next_batch_meanwhile(accelerator):
    mels = {index: tiny_mel(0.05, seed=index) for index in range(9)}
    sources = [*mels.items(), ("broken", torch.zeros(3, 3))]
    results = invert_many(sources, INVERTER, device="meta", batch=3)
    first = next(results)
    assert accelerator.started.wait(10)
    rest = {result.name: result for result in results}
    assert rest.keys() | {first.name} == {*mels, "broken"}
    assert rest["broken"].error
    for name, mel in mels.items():
        result = first if name == first.name else rest[name]
        torch.testing.assert_close(result.waveform, INVERTER(mel), atol=1e-5, rtol=0)
    assert threading.get_ident() not in accelerator.threads


def test_another_thread_uses_the_stream_of_the_caller(monkeypatch):
    entered = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"that of {device}")
    monkeypatch.setattr(
        torch.cuda, "stream", lambda stream: contextlib.nullcontext(entered.append(stream))
    )
    invert = inversion._on_current_stream(list, torch.device("cuda", 1))
    assert invert("ab") == ["a", "b"]
    assert entered == ["that of cuda:1"]


@pytest.mark.gpu
def test_a_cuda_device_uses_the_stream_of_the_caller(monkeypatch):
    streams, original = [], BatchInverter.invert

    def invert(batches, items):
        streams.append(torch.cuda.current_stream())
        return original(batches, items)

    monkeypatch.setattr(BatchInverter, "invert", invert)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        (result,) = invert_many([("x", tiny_mel())], INVERTER, device="cuda")
    assert streams == [side]
    assert result.mel_error_db < -10


def test_an_error_of_a_batch_on_an_accelerator_is_raised(accelerator, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(BatchInverter, "invert_mels", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        next(invert_many([("x", tiny_mel())], INVERTER, device="meta"))


def test_a_limit_that_was_lowered_is_never_raised(monkeypatch):
    """A batch that was made before an earlier one lowered the limit may run out of memory, too."""
    batches = BatchInverter(INVERTER, torch.device("cpu"), BatchLimit(64, 10**6))
    limits = []

    def invert_mels(_, mels):
        limits.append(batches.limit.max_frames)
        if len(mels) > 2:
            raise torch.OutOfMemoryError
        return [batch_inverter.InvertedMel(mel, 0.0, False) for mel in mels]

    monkeypatch.setattr(BatchInverter, "invert_mels", invert_mels)
    for n_items in (8, 16):
        batches.invert(items_of(n_items))
    assert limits == sorted(limits, reverse=True)
