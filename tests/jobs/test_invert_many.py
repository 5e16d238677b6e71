"""A stream of mels to waveforms: each what it is alone, in whatever company; too little memory; a broken source among others."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import torchmelinv as tmi
from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.jobs import invert_many as job
from torchmelinv.jobs.invert_many import invert_many
from torchmelinv.jobs.memory import bytes_per_frame
from torchmelinv.measure.distance import mel_error_db

pytestmark = pytest.mark.usefixtures("workplace")
INVERTER = MelInverter(TINY, n_iter=2)
MELS = {f"clip_{index}": tiny_mel(0.03 * (1 + (5 * index) % 7), seed=index) for index in range(12)}


@pytest.mark.parametrize("options", [{}, {"batch": 5}, {"batch": 5, "memory": 1}, {"memory": 1e7}])
def test_each_is_bit_for_bit_what_it_is_alone(options):
    found = {made.name: made for made in invert_many(MELS.items(), INVERTER, **options)}
    assert found.keys() == MELS.keys()
    for name, mel in MELS.items():
        assert torch.equal(found[name].waveform, INVERTER(mel))
        assert (found[name].frames, found[name].index, found[name].count, found[name].error) == (mel.shape[-1], 0, 1, None)


def test_the_order_is_kept_on_the_cpu():
    sources = [*MELS.items()]
    sources.insert(4, ("broken", torch.zeros(3, 3)))
    assert [made.name for made in invert_many(sources, INVERTER)] == [name for name, _ in sources]


def test_files_and_tensors_of_several_mels():
    np.save("many.npy", torch.stack([tiny_mel(seed=seed) for seed in range(3)]).numpy())
    made = list(invert_many(["mel.npy", ("b", "many.npy"), ("c", tiny_mel()[None])], INVERTER))
    assert [(each.name, each.index, each.count) for each in made] == [
        ("mel.npy", 0, 1), ("b", 0, 3), ("b", 1, 3), ("b", 2, 3), ("c", 0, 1)]
    assert torch.equal(made[3].waveform, INVERTER(tiny_mel(seed=2)))


def test_how_close_it_came():
    (made,) = invert_many(["mel.npy"], INVERTER)
    analyzer = MelAnalyzer(TINY)
    assert made.mel_error_db == float(mel_error_db(analyzer.linear(made.waveform), tiny_mel().exp()))


def test_an_endless_stream_is_taken_as_it_is_asked_for():
    taken = itertools.count()
    sources = ((next(taken), tiny_mel(0.02)) for _ in itertools.count())
    assert [made.name for made in itertools.islice(invert_many(sources, INVERTER), 5)] == [0, 1, 2, 3, 4]
    assert next(taken) < 12


def test_waveforms_may_go_on_into_a_training_graph():
    (made,) = invert_many([("x", tiny_mel())], INVERTER)
    scale = torch.ones((), requires_grad=True)
    (made.waveform * scale).square().sum().backward()
    assert scale.grad > 0


def test_the_inverter_is_not_touched():
    inverter = MelInverter(TINY, n_iter=1)
    list(invert_many([("x", tiny_mel())], inverter))
    assert inverter.check


def forgetful(monkeypatch, most):
    """An inverter for which more than `most` padded frames at a time are too many; the batches that were tried."""
    tried = []
    original = job._Bench.waveforms

    def waveforms(bench, mels):
        tried.append((len(mels), len(mels) * max(mel.shape[-1] for mel in mels)))
        if tried[-1][1] > most:
            raise torch.OutOfMemoryError
        return original(bench, mels)

    monkeypatch.setattr(job._Bench, "waveforms", waveforms)
    return tried


def test_a_batch_that_does_not_fit_is_halved_and_later_ones_are_smaller(monkeypatch):
    tried = forgetful(monkeypatch, 100)
    mels = [(index, tiny_mel(0.05, seed=index)) for index in range(24)]  # 26 frames
    made = list(invert_many(mels, INVERTER, batch=8))
    assert [each.name for each in made] == list(range(24))
    for (_, mel), each in zip(mels, made, strict=True):
        assert torch.equal(each.waveform, INVERTER(mel))
    assert [size for size, _ in tried[:4]] == [8, 4, 2, 2]
    assert max(size for size, _ in tried[4:]) <= 4
    assert sum(frames > 100 for _, frames in tried) <= 4


def test_what_does_not_fit_alone_is_said_and_the_others_go_on(monkeypatch):
    forgetful(monkeypatch, 60)
    made = {each.name: each for each in invert_many(
        [("a", tiny_mel(0.05)), ("long", tiny_mel(0.2)), ("b", tiny_mel(0.06))], INVERTER, batch=3)}
    assert "not enough memory" in made["long"].error
    assert made["long"].waveform is None
    assert made["a"].error is made["b"].error is None


def test_an_allocator_that_only_says_it_in_words(monkeypatch):
    def refuse(*_):
        torch.empty(2**50, dtype=torch.float64)

    monkeypatch.setattr(job._Bench, "waveforms", refuse)
    assert "not enough memory" in next(invert_many([("x", tiny_mel())], INVERTER)).error


def test_bugs_stay_loud(monkeypatch):
    def break_down(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(job._Bench, "waveforms", break_down)
    with pytest.raises(RuntimeError, match="a bug"):
        next(invert_many([("x", tiny_mel())], INVERTER))


@pytest.mark.parametrize(("options", "says"), [
    ({"batch": 0}, "batch is 0"), ({"batch": 1.5}, "batch is 1.5"), ({"memory": 0}, "memory is 0"),
    ({"memory": "much"}, "memory is 'much'"),
])
def test_mistakes_show_at_once(options, says):
    with pytest.raises(InputError, match=says):
        invert_many([], INVERTER, **options)


def test_memory_bounds_a_batch(monkeypatch):
    tried = forgetful(monkeypatch, 10**9)
    list(invert_many(MELS.items(), INVERTER, batch=12, memory=80 * bytes_per_frame(TINY)))
    assert max(frames for size, frames in tried if size > 1) <= 80


def test_it_stands_at_the_front_door():
    assert tmi.invert_many is invert_many


@pytest.mark.gpu
def test_batches_on_a_gpu():
    found = {made.name: made.waveform for made in invert_many(MELS.items(), INVERTER, device="cuda", batch=5)}
    for name, mel in MELS.items():
        expected = INVERTER(mel)
        torch.testing.assert_close(found[name], expected, atol=1e-3 * float(expected.abs().max()), rtol=0)
