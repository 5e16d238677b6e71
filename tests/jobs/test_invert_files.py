"""Mel files into audio files: the pairing, the batches, and one file's failure beside the others' success."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.errors import FileError, InputError
from torchmelinv.files import read_audio
from torchmelinv.invert import MelInverter
from torchmelinv.jobs import invert_files as job
from torchmelinv.jobs.invert_files import Task, invert_files, plan

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def inverter():
    return MelInverter(TINY, n_iter=2)


def save(path, mel):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, mel.numpy())


@pytest.mark.parametrize(("inputs", "output", "suffix", "targets"), [
    (["mel.npy"], "x.wav", ".wav", ["x.wav"]),
    (["mel.npy"], "x.FLAC", ".wav", ["x.FLAC"]),
    (["mel.npy"], "out", ".wav", ["out/mel.wav"]),
    (["mel.npy"], "there", ".flac", ["there/mel.flac"]),
    (["mel.npy", "in/a.npy"], "out.d", ".flac", ["out.d/mel.flac", "out.d/a.flac"]),
    (["in"], "out", ".wav", ["out/a.wav", "out/deep/b.wav"]),
    (["in", "mel.npy", "mel.npy"], "out", ".wav", ["out/mel.wav", "out/a.wav", "out/deep/b.wav"]),
])
def test_inputs_are_paired_with_outputs(inputs, output, suffix, targets):
    save("in/a.npy", tiny_mel())
    save("in/deep/b.npy", tiny_mel())
    Path("there").mkdir()
    assert [str(task.target) for task in plan(inputs, output, suffix)] == targets


@pytest.mark.parametrize(("inputs", "output", "error", "says"), [
    (["none.npy"], "x.wav", FileError, "none.npy does not exist"),
    (["empty"], "out", FileError, "no mel file lies below the folder empty"),
    (["mel.npy", "speech.wav"], "x.wav", InputError, "several inputs need a folder, as in -o x"),
    (["in"], "x.wav", InputError, "several inputs need a folder"),
    (["mel.npy"], "x.mp3", InputError, "ends in '.mp3'"),
    (["mel.npy"], "tiny.json", InputError, "ends in '.json'"),
    (["in"], "file", FileError, "file is a file; a folder is needed there"),
    (["mel.npy", "in/mel.npy"], "out", InputError, "would both become out/mel.wav"),
    (["twice"], "out", InputError, "would both become out/x.wav"),
])
def test_what_cannot_be_paired_is_refused(inputs, output, error, says):
    for path in ("in/mel.npy", "twice/x.npy", "twice/x.npz"):
        save(path, tiny_mel())
    Path("twice/x.npz").touch()
    Path("empty").mkdir()
    Path("file").touch()
    with pytest.raises(error, match=says):
        plan(inputs, output)


def tasks(count):
    """Files of different lengths, the names not in the order of the lengths."""
    for index in range(count):
        save(f"in/{index}.npy", tiny_mel(0.05 * (1 + (3 * index) % 5), seed=index))
    return plan(["in"], "out")


@pytest.mark.parametrize("batch", [None, 1, 2, 7])
def test_results_do_not_depend_on_the_batch(inverter, batch):
    work = tasks(7)
    outcomes = invert_files(work, inverter, batch=batch, subtype="FLOAT")
    assert [outcome.input for outcome in outcomes] == [str(task.source) for task in work]
    for task, outcome in zip(work, outcomes, strict=True):
        mel = torch.from_numpy(np.load(task.source))
        expected = inverter(mel)
        waveform, rate = read_audio(task.target)
        assert rate == TINY.sample_rate
        assert torch.allclose(waveform[0], expected, atol=1e-6)
        assert waveform.shape[-1] == TINY.n_samples(mel.shape[-1])
        assert (outcome.error, outcome.frames, outcome.seconds) == (None, mel.shape[-1], len(expected) / rate)
        assert outcome.mel_error_db < -8
        assert outcome.peak == pytest.approx(float(expected.abs().max()), rel=1e-5)


def test_long_files_go_in_smaller_batches(inverter, monkeypatch):
    sizes = []
    original = job._invert
    monkeypatch.setattr(job, "_invert", lambda items, *rest: sizes.append(len(items)) or original(items, *rest))
    monkeypatch.setattr(job, "BATCH_FRAMES", 260)
    invert_files(tasks(7), inverter)
    assert sum(sizes) == 7
    assert 1 < max(sizes) < 7
    assert sizes == sorted(sizes)  # the longest first


@pytest.mark.parametrize(("mel", "says"), [
    (torch.full((8, 5), math.nan), "NaN or infinite"), (torch.zeros(5, 8), "transposed"), (torch.zeros(9, 5), "9 bands"),
    (torch.zeros(8, 0), "empty"), (torch.zeros(8), r"\(8,\)"), (torch.zeros(8, 5, dtype=torch.int32), "int32"),
    (torch.zeros(8, 5, dtype=torch.complex64), "complex64"),
])
@pytest.mark.parametrize("batch", [None, 1])
def test_one_broken_file_spares_the_others(inverter, mel, says, batch):
    work = tasks(3)
    save("in/1.npy", mel)
    seen = []
    outcomes = invert_files(work, inverter, batch=batch, progress=lambda: seen.append(1))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    with pytest.raises(InputError, match=says):
        raise InputError(outcomes[1].error)
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.wav", "2.wav"]
    assert len(seen) == 3


def test_files_of_several_mels_become_numbered_outputs(inverter):
    mels = torch.stack([tiny_mel(seed=seed) for seed in range(12)])
    save("in/many.npy", mels.reshape(3, 4, *mels.shape[1:]))
    save("in/one.npy", mels[:1, None])
    outcomes = invert_files(plan(["in"], "out"), inverter, subtype="FLOAT")
    assert [outcome.output for outcome in outcomes] == [*(f"out/many_{index:02d}.wav" for index in range(12)), "out/one.wav"]
    assert torch.allclose(read_audio("out/many_07.wav")[0][0], inverter(mels[7]), atol=1e-6)


def test_numbered_outputs_do_not_overwrite(inverter):
    save("in/x.npy", torch.stack([tiny_mel(), tiny_mel()]))
    save("in/x_1.npy", tiny_mel())
    outcomes = invert_files(plan(["in"], "out"), inverter)
    assert sum(outcome.error is not None for outcome in outcomes) == 1
    assert "has been written for" in next(outcome.error for outcome in outcomes if outcome.error)


def test_warnings_belong_to_their_file(inverter):
    work = tasks(3)
    save("in/1.npy", tiny_mel().exp() + 1)
    outcomes = invert_files(work, inverter)
    assert [len(outcome.warnings) for outcome in outcomes] == [0, 1, 0]
    assert "linear mel" in outcomes[1].warnings[0]
    assert all(outcome.error is None for outcome in outcomes)


def test_loud_results_are_scaled_and_said(inverter):
    save("in/x.npy", tiny_mel() + 3)
    (outcome,) = invert_files(plan(["in"], "out"), inverter)
    assert outcome.gain_db == pytest.approx(-20 * math.log10(outcome.peak))
    assert outcome.gain_db < -6
    assert float(read_audio("out/x.wav")[0].abs().max()) == pytest.approx(1, abs=1e-4)


def test_too_little_memory_splits_the_batch_and_then_gives_up(inverter, monkeypatch):
    original = job._invert
    longest = max(np.load(task.source).shape[-1] for task in tasks(4))

    def small(items, *rest):
        if len(items) > 1 or items[0].mel.shape[-1] == longest:
            raise torch.OutOfMemoryError
        return original(items, *rest)

    monkeypatch.setattr(job, "_invert", small)
    outcomes = invert_files(plan(["in"], "out"), inverter)
    assert [outcome.error for outcome in outcomes].count(None) == 3
    assert "ran out of memory" in next(outcome.error for outcome in outcomes if outcome.error)


def test_half_precision_and_torch_files(inverter):
    torch.save({"mel": tiny_mel().half()}, "x.pt")
    (outcome,) = invert_files([Task(Path("x.pt"), Path("x.wav"))], inverter)
    assert outcome.error is None


def test_a_place_that_cannot_be_written(inverter):
    work = tasks(2)
    Path("out/1.wav").mkdir(parents=True)
    outcomes = invert_files(work, inverter)
    assert outcomes[0].error is None
    assert "cannot be written" in outcomes[1].error
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.wav", "1.wav"]


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_none(inverter, batch):
    with pytest.raises(InputError, match="at least 1"):
        invert_files([], inverter, batch=batch)
