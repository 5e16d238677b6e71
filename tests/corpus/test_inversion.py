"""Streaming inversion: results equal those of single mels; memory limits; broken sources."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import torchmelinv as tmi
from tests.tiny import TINY, stereo, tiny_mel, workplace  # noqa: F401
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.batch_inverter import BatchInverter
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.corpus.memory import bytes_per_frame
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics.distance import mel_error_db

pytestmark = pytest.mark.usefixtures("workplace")
INVERTER = MelInverter(TINY, n_iter=2)
MELS = {f"clip_{index}": tiny_mel(0.03 * (1 + (5 * index) % 7), seed=index) for index in range(12)}


@pytest.mark.parametrize("options", [{}, {"batch": 5}, {"batch": 5, "memory": 1}, {"memory": 1e7}])
def test_results_are_bit_for_bit_those_of_single_mels(options):
    results = {result.name: result for result in invert_many(MELS.items(), INVERTER, **options)}
    assert results.keys() == MELS.keys()
    for name, mel in MELS.items():
        result = results[name]
        assert torch.equal(result.waveform, INVERTER(mel))
        assert (result.n_frames, result.index, result.count) == (mel.shape[-1], 0, 1)
        assert result.error is None


def test_results_keep_their_order_on_the_cpu():
    sources = [*MELS.items()]
    sources.insert(4, ("broken", torch.zeros(3, 3)))
    results = invert_many(sources, INVERTER)
    assert [result.name for result in results] == [name for name, _ in sources]


def test_files_and_tensors_of_several_mels():
    np.save("many.npy", torch.stack([tiny_mel(seed=seed) for seed in range(3)]).numpy())
    sources = ["mel.npy", ("b", "many.npy"), ("c", tiny_mel()[None])]
    results = list(invert_many(sources, INVERTER))
    assert [(result.name, result.index, result.count) for result in results] == [
        ("mel.npy", 0, 1),
        ("b", 0, 3),
        ("b", 1, 3),
        ("b", 2, 3),
        ("c", 0, 1),
    ]
    assert torch.equal(results[3].waveform, INVERTER(tiny_mel(seed=2)))


# 26, 27 and 28 frames: one batch
STEREO = {f"clip_{ms}": MelSpectrogram(TINY)(stereo(ms / 1000)) for ms in (50, 52, 54)}
TOGETHER = MelInverter(TINY, n_iter=2, channels=True)


@pytest.mark.parametrize("options", [{}, {"batch": 6}])
def test_channels_of_a_recording_stay_together(options):
    sources = [*STEREO.items(), ("mono", tiny_mel()), ("one channel", tiny_mel()[None])]
    results = {result.name: result for result in invert_many(sources, TOGETHER, **options)}
    for name, mel in STEREO.items():
        assert torch.equal(results[name].waveform, TOGETHER(mel))
        assert (results[name].n_frames, results[name].count) == (mel.shape[-1], 1)
    for name in ("mono", "one channel"):
        assert torch.equal(results[name].waveform, INVERTER(tiny_mel()))
    mel = STEREO["clip_54"]
    estimate = MelSpectrogram(TINY).linear_mel(results["clip_54"].waveform)
    expected = mel_error_db(estimate.flatten(0, 1), mel.exp().flatten(0, 1))
    assert results["clip_54"].mel_error_db == float(expected)


def test_without_channels_each_mel_is_one_recording():
    mel = STEREO["clip_50"]
    results = list(invert_many([("x", mel)], INVERTER))
    assert [result.count for result in results] == [2, 2]
    assert torch.equal(results[1].waveform, INVERTER(mel[1]))


def test_a_padded_batch_of_channels_gives_the_waveforms_of_its_items(monkeypatch):
    """As on an accelerator."""
    tried = []

    def waveforms(batch_inverter, mels):
        tried.append(len(mels))
        batch_inverter.inverter.channels = True
        return batch_inverter._invert_together(mels)

    monkeypatch.setattr(BatchInverter, "invert_mels", waveforms)
    results = list(invert_many(STEREO.items(), TOGETHER, batch=6))
    for result in results:
        expected = TOGETHER(STEREO[result.name])
        torch.testing.assert_close(result.waveform, expected, atol=1e-5, rtol=0)  # rounding
    assert tried == [3]


def test_the_mel_error_is_that_of_the_metric():
    (result,) = invert_many(["mel.npy"], INVERTER)
    estimate = MelSpectrogram(TINY).linear_mel(result.waveform)
    assert result.mel_error_db == float(mel_error_db(estimate, tiny_mel().exp()))


def test_an_endless_stream_is_read_as_needed():
    counter = itertools.count()
    sources = ((next(counter), tiny_mel(0.02)) for _ in itertools.count())
    results = itertools.islice(invert_many(sources, INVERTER), 5)
    assert [result.name for result in results] == [0, 1, 2, 3, 4]
    assert next(counter) < 12


def test_waveforms_may_enter_a_training_graph():
    (result,) = invert_many([("x", tiny_mel())], INVERTER)
    scale = torch.ones((), requires_grad=True)
    (result.waveform * scale).square().sum().backward()
    assert scale.grad > 0


def test_the_inverter_is_not_changed():
    inverter = MelInverter(TINY, n_iter=1)
    list(invert_many([("x", tiny_mel())], inverter))
    assert inverter.check


def limit_memory(monkeypatch, max_frames):
    """Let batches of more padded frames run out of memory; return the (items, frames) tried."""
    tried = []
    original = BatchInverter.invert_mels

    def waveforms(batch_inverter, mels):
        tried.append((len(mels), len(mels) * max(mel.shape[-1] for mel in mels)))
        if tried[-1][1] > max_frames:
            raise torch.OutOfMemoryError
        return original(batch_inverter, mels)

    monkeypatch.setattr(BatchInverter, "invert_mels", waveforms)
    return tried


def test_a_batch_that_does_not_fit_is_halved_and_later_ones_are_smaller(monkeypatch):
    tried = limit_memory(monkeypatch, 100)
    mels = [(index, tiny_mel(0.05, seed=index)) for index in range(24)]  # 26 frames
    results = list(invert_many(mels, INVERTER, batch=8))
    assert [result.name for result in results] == list(range(24))
    for (_, mel), result in zip(mels, results, strict=True):
        assert torch.equal(result.waveform, INVERTER(mel))
    assert [size for size, _ in tried[:4]] == [8, 4, 2, 2]
    assert max(size for size, _ in tried[4:]) <= 4
    assert sum(frames > 100 for _, frames in tried) <= 4


def test_a_mel_that_does_not_fit_alone_has_an_error(monkeypatch):
    limit_memory(monkeypatch, 60)
    mels = {"a": tiny_mel(0.05), "long": tiny_mel(0.2), "b": tiny_mel(0.06)}
    results = {result.name: result for result in invert_many(mels.items(), INVERTER, batch=3)}
    assert "not enough memory" in results["long"].error
    assert results["long"].waveform is None
    assert results["a"].error is results["b"].error is None


def test_errors_of_the_cpu_allocator_are_recognized(monkeypatch):
    def allocate_too_much(*_):
        torch.empty(2**50, dtype=torch.float64)

    monkeypatch.setattr(BatchInverter, "invert_mels", allocate_too_much)
    assert "not enough memory" in next(invert_many([("x", tiny_mel())], INVERTER)).error


def test_other_runtime_errors_are_raised(monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(BatchInverter, "invert_mels", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        next(invert_many([("x", tiny_mel())], INVERTER))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"batch": 1.5}, "batch is 1.5"),
        ({"memory": 0}, "memory is 0"),
        ({"memory": "much"}, "memory is 'much'"),
        ({"bach": 1}, "did you mean 'batch'"),
    ],
)
def test_invalid_options_are_refused_at_once(options, message):
    with pytest.raises(InputError, match=message):
        invert_many([], INVERTER, **options)


def test_memory_bounds_a_batch(monkeypatch):
    tried = limit_memory(monkeypatch, 10**9)
    list(invert_many(MELS.items(), INVERTER, batch=12, memory=80 * bytes_per_frame(TINY)))
    assert max(frames for size, frames in tried if size > 1) <= 80


def test_it_is_exported():
    assert tmi.invert_many is invert_many


@pytest.mark.gpu
@pytest.mark.parametrize(("mels", "inverter"), [(MELS, INVERTER), (STEREO, TOGETHER)])
def test_batches_on_a_gpu(mels, inverter):
    for result in invert_many(mels.items(), inverter, device="cuda", batch=5):
        expected = inverter(mels[result.name])
        tolerance = 1e-3 * float(expected.abs().max())
        torch.testing.assert_close(result.waveform, expected, atol=tolerance, rtol=0)
