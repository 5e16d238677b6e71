"""Mel files to audio files: errors of single files, numbered outputs, and resumed jobs."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, stereo, tiny_mel, workplace  # noqa: F401
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.batch_inverter import BatchInverter
from torchmelinv.corpus.file_inversion import invert_files, split_tasks
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.errors import DiskError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def inverter():
    return MelInverter(TINY, n_iter=2)


def save(path, mel):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, mel.numpy())


def invert_all(tasks, *args, **options):
    """Every outcome, in the order of the tasks."""
    position = {str(task.source): index for index, task in enumerate(tasks)}
    outcomes = invert_files(tasks, *args, **options)
    return sorted(outcomes, key=lambda outcome: (position[outcome.input], outcome.index))


def make_tasks(count):
    """Files of different lengths, with names in another order than the lengths."""
    for index in range(count):
        save(f"in/{index}.npy", tiny_mel(0.05 * (1 + (3 * index) % 5), seed=index))
    return plan(["in"], "out")


@pytest.mark.parametrize("batch", [None, 1, 2, 7])
def test_results_do_not_depend_on_the_batch(inverter, batch):
    tasks = make_tasks(7)
    outcomes = invert_all(tasks, inverter, batch=batch, subtype="FLOAT")
    assert [outcome.input for outcome in outcomes] == [str(task.source) for task in tasks]
    for task, outcome in zip(tasks, outcomes, strict=True):
        mel = torch.from_numpy(np.load(task.source))
        expected = inverter(mel)
        waveform, rate = read_audio(task.target)
        assert rate == TINY.sample_rate
        assert torch.allclose(waveform[0], expected, atol=1e-6)
        assert waveform.shape[-1] == TINY.n_samples(mel.shape[-1])
        assert outcome.error is None
        assert outcome.n_frames == mel.shape[-1]
        assert outcome.seconds == len(expected) / rate
        assert outcome.mel_error_db < -8
        assert outcome.peak == pytest.approx(float(expected.abs().max()), rel=1e-5)


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (torch.full((8, 5), math.nan), "NaN or infinite"),
        (torch.zeros(5, 8), "transposed"),
        (torch.zeros(9, 5), "9 bands"),
        (torch.zeros(8, 0), "empty"),
        (torch.zeros(8), r"\(8,\)"),
        (torch.zeros(8, 5, dtype=torch.int32), "int32"),
        (torch.zeros(8, 5, dtype=torch.complex64), "complex64"),
    ],
)
@pytest.mark.parametrize("batch", [None, 1])
def test_a_broken_file_does_not_affect_the_others(inverter, mel, message, batch):
    tasks = make_tasks(3)
    save("in/1.npy", mel)
    outcomes = invert_all(tasks, inverter, batch=batch)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    with pytest.raises(InputError, match=message):
        raise InputError(outcomes[1].error)
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.wav", "2.wav"]


def test_files_of_several_mels_become_numbered_outputs(inverter):
    mels = torch.stack([tiny_mel(seed=seed) for seed in range(12)])
    save("in/many.npy", mels.reshape(3, 4, *mels.shape[1:]))
    save("in/single.npy", mels[:1, None])
    outcomes = invert_all(plan(["in"], "out"), inverter, subtype="FLOAT")
    numbered = [f"out/many_{index:02d}.wav" for index in range(12)]
    assert [outcome.output for outcome in outcomes] == [*numbered, "out/single.wav"]
    assert torch.allclose(read_audio("out/many_07.wav")[0][0], inverter(mels[7]), atol=1e-6)


def test_a_file_of_channels_becomes_one_output(inverter):
    inverter.channels = True
    mels = MelSpectrogram(TINY)(torch.stack([stereo(), stereo().flip(0)]))
    save("in/recording.npy", mels[0])
    save("in/two.npy", mels)
    tasks = plan(["in"], "out")
    with open_manifest(inverter) as manifest:
        outcomes = invert_all(tasks, inverter, manifest=manifest, subtype="FLOAT")
    assert [outcome.output for outcome in outcomes] == [
        "out/recording.wav",
        "out/two_0.wav",
        "out/two_1.wav",
    ]
    for outcome, mel in zip(outcomes, mels[[0, 0, 1]], strict=True):
        assert torch.allclose(read_audio(outcome.output)[0], inverter(mel), atol=1e-6)
        assert (outcome.n_channels, outcome.n_frames, outcome.seconds) == (2, 101, 0.2)
    with open_manifest(inverter) as manifest:
        skipped, remaining = split_tasks(tasks, TINY.n_mels, manifest)
    assert ([outcome.n_channels for outcome in skipped], remaining) == ([2, 2, 2], [])


def test_numbered_outputs_never_replace_the_output_of_another_file(inverter):
    save("in/x.npy", torch.stack([tiny_mel(), tiny_mel()]))
    save("in/x_1.npy", tiny_mel())
    tasks = plan(["in"], "out")
    outcomes = invert_all(tasks, inverter, taken={task.target for task in tasks})
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "out/x_1.wav, the output of one of its 2 mels, is also" in outcomes[1].error


def test_warnings_belong_to_their_file(inverter):
    tasks = make_tasks(3)
    save("in/1.npy", tiny_mel().exp() + 1)
    outcomes = invert_all(tasks, inverter)
    assert [len(outcome.warnings) for outcome in outcomes] == [0, 1, 0]
    assert "linear mel" in outcomes[1].warnings[0]
    assert all(outcome.error is None for outcome in outcomes)


def test_loud_results_are_scaled_and_reported(inverter):
    save("in/x.npy", tiny_mel() + 3)
    (outcome,) = invert_all(plan(["in"], "out"), inverter)
    assert outcome.gain_db == pytest.approx(-20 * math.log10(outcome.peak))
    assert outcome.gain_db < -6
    assert float(read_audio("out/x.wav")[0].abs().max()) == pytest.approx(1, abs=1e-4)


def test_half_precision_and_torch_files(inverter):
    torch.save({"mel": tiny_mel().half()}, "x.pt")
    (outcome,) = invert_all([Task(Path("x.wav"), Path("x.pt"))], inverter)
    assert outcome.error is None


def test_an_output_that_cannot_be_written(inverter):
    tasks = make_tasks(2)
    Path("out/1.wav").mkdir(parents=True)
    outcomes = invert_all(tasks, inverter)
    assert outcomes[0].error is None
    assert "cannot be written" in outcomes[1].error
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.wav", "1.wav"]


@pytest.mark.parametrize("batch", [0, -1])
def test_an_empty_batch_is_refused(inverter, batch):
    with pytest.raises(InputError, match="an integer ≥ 1"):
        invert_files([], inverter, batch=batch)


def open_manifest(inverter, **others):
    return Manifest(Path("out"), inversion_settings(inverter, version="1", **others))


def resume(tasks, inverter, **others):
    """Names of the outputs of an earlier run, and of those that this run makes."""
    with open_manifest(inverter, **others) as manifest:
        skipped, remaining = split_tasks(tasks, TINY.n_mels, manifest)
        outcomes = invert_all(remaining, inverter, manifest=manifest)
    new = sorted(Path(outcome.output).stem for outcome in outcomes)
    return [Path(outcome.output).stem for outcome in skipped], new


def test_finished_files_are_skipped(inverter):
    make_tasks(3)
    save("in/two.npy", torch.stack([tiny_mel(), tiny_mel()]))
    tasks = plan(["in"], "out")
    names = ["0", "1", "2", "two_0", "two_1"]
    with open_manifest(inverter) as manifest:
        remaining = sorted(split_tasks(tasks, TINY.n_mels, manifest)[1])
        first_run = invert_all(remaining, inverter, manifest=manifest)
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.wav")}
    with open_manifest(inverter) as manifest:
        skipped, remaining = split_tasks(tasks, TINY.n_mels, manifest)
    assert remaining == []
    assert [Path(outcome.output).stem for outcome in skipped] == names
    assert all(outcome.skipped for outcome in skipped)
    for now, then in zip(skipped, first_run, strict=True):
        for field in ("input", "output", "n_frames", "seconds"):
            assert getattr(now, field) == getattr(then, field)
        assert now.mel_error_db == pytest.approx(then.mel_error_db)
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("*.wav")} == times
    Path("out/two_1.wav").unlink()
    assert resume(tasks, inverter) == (names[:4], names[4:])
    assert resume(tasks, inverter) == (names, [])


def test_the_longest_files_come_first(inverter):
    _, remaining = split_tasks(make_tasks(7), TINY.n_mels)
    lengths = [task.n_frames for task in remaining]
    assert lengths == sorted(lengths, reverse=True)
    assert [outcome.n_frames for outcome in invert_files(remaining, inverter)] == lengths


def test_stopping_early_leaves_whole_files_and_their_entries(inverter):
    tasks = make_tasks(7)
    with open_manifest(inverter) as manifest:
        outcomes = invert_files(tasks, inverter, manifest=manifest)
        next(outcomes)
        outcomes.close()
    written = sorted(path.stem for path in Path("out").glob("*.wav"))
    assert 0 < len(written) < 7
    others = sorted({str(index) for index in range(7)} - set(written))
    assert resume(tasks, inverter) == (written, others)


def test_a_source_that_changes_meanwhile_is_inverted_again(inverter):
    tasks = make_tasks(2)
    with open_manifest(inverter) as manifest:
        add = manifest.add

        def change_and_add(task, *args):
            if task.source.name == "0.npy":
                save(task.source, tiny_mel(0.3))
            add(task, *args)

        manifest.add = change_and_add
        outcomes = invert_all(tasks, inverter, manifest=manifest)
        assert all(outcome.error is None for outcome in outcomes)
    assert resume(tasks, inverter) == (["1"], ["0"])


@pytest.mark.parametrize("part", ["audio", "manifest"])
def test_a_full_disk_ends_the_job_at_once(inverter, monkeypatch, part):
    save("in/many.npy", torch.stack([tiny_mel(0.02, seed=seed) for seed in range(100)]))
    tasks, computed, full = plan(["in"], "out"), [], False
    waveforms = BatchInverter.invert_mels

    def count(*arguments):
        computed.append(1)
        return waveforms(*arguments)

    def fail(descriptor, *arguments):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(descriptor, *arguments)

    name = "fsync" if part == "audio" else "write"
    original = getattr(os, name)
    with monkeypatch.context() as patch, open_manifest(inverter) as manifest:
        patch.setattr(BatchInverter, "invert_mels", count)
        patch.setattr(os, name, fail)
        outcomes = invert_files(tasks, inverter, manifest=manifest)
        done = [next(outcomes)]
        full = True
        with pytest.raises(DiskError, match="No space left on device"):
            done.extend(outcomes)
    assert all(outcome.error is None for outcome in done)
    assert len(computed) < 50
    skipped, new = resume(tasks, inverter)
    assert sorted(skipped) == sorted(Path(outcome.output).stem for outcome in done)
    assert len(skipped) + len(new) == 100
