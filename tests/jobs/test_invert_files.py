"""Mel files into audio files: one file's failure beside the others' success, numbered outputs, and what an earlier run did."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.errors import InputError
from torchmelinv.files import read_audio
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.invert_files import divide
from torchmelinv.jobs.invert_files import invert_files as stream
from torchmelinv.jobs.manifest import Manifest, settings
from torchmelinv.jobs.plan import Task, plan

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def inverter():
    return MelInverter(TINY, n_iter=2)


def save(path, mel):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, mel.numpy())


def invert_files(tasks, *args, **options):
    """Every outcome, in the order of the tasks."""
    place = {str(task.source): index for index, task in enumerate(tasks)}
    return sorted(stream(tasks, *args, **options), key=lambda outcome: (place[outcome.input], outcome.index))


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


@pytest.mark.parametrize(("mel", "says"), [
    (torch.full((8, 5), math.nan), "NaN or infinite"), (torch.zeros(5, 8), "transposed"), (torch.zeros(9, 5), "9 bands"),
    (torch.zeros(8, 0), "empty"), (torch.zeros(8), r"\(8,\)"), (torch.zeros(8, 5, dtype=torch.int32), "int32"),
    (torch.zeros(8, 5, dtype=torch.complex64), "complex64"),
])
@pytest.mark.parametrize("batch", [None, 1])
def test_one_broken_file_spares_the_others(inverter, mel, says, batch):
    work = tasks(3)
    save("in/1.npy", mel)
    outcomes = invert_files(work, inverter, batch=batch)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    with pytest.raises(InputError, match=says):
        raise InputError(outcomes[1].error)
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.wav", "2.wav"]


def test_files_of_several_mels_become_numbered_outputs(inverter):
    mels = torch.stack([tiny_mel(seed=seed) for seed in range(12)])
    save("in/many.npy", mels.reshape(3, 4, *mels.shape[1:]))
    save("in/one.npy", mels[:1, None])
    outcomes = invert_files(plan(["in"], "out"), inverter, subtype="FLOAT")
    assert [outcome.output for outcome in outcomes] == [*(f"out/many_{index:02d}.wav" for index in range(12)), "out/one.wav"]
    assert torch.allclose(read_audio("out/many_07.wav")[0][0], inverter(mels[7]), atol=1e-6)


def test_numbered_outputs_never_take_the_place_of_another_file(inverter):
    save("in/x.npy", torch.stack([tiny_mel(), tiny_mel()]))
    save("in/x_1.npy", tiny_mel())
    work = plan(["in"], "out")
    outcomes = invert_files(work, inverter, taken={task.target for task in work})
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "out/x_1.wav, one of its 2 mels, is where another file goes" in outcomes[1].error


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


def test_half_precision_and_torch_files(inverter):
    torch.save({"mel": tiny_mel().half()}, "x.pt")
    (outcome,) = invert_files([Task(Path("x.wav"), Path("x.pt"))], inverter)
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


def opened(inverter, **more):
    return Manifest(Path("out"), settings(inverter, version="1", **more))


def resumed(work, inverter, **more):
    """Names that an earlier run did, and those that this one does."""
    with opened(inverter, **more) as manifest:
        before, left = divide(work, TINY.n_mels, manifest)
        after = invert_files(left, inverter, manifest=manifest)
    return [Path(outcome.output).stem for outcome in before], sorted(Path(outcome.output).stem for outcome in after)


def test_what_is_done_is_left_alone(inverter):
    work = tasks(3)
    save("in/two.npy", torch.stack([tiny_mel(), tiny_mel()]))
    work = plan(["in"], "out")
    names = ["0", "1", "2", "two_0", "two_1"]
    with opened(inverter) as manifest:
        first = invert_files(sorted(divide(work, TINY.n_mels, manifest)[1]), inverter, manifest=manifest)
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.wav")}
    with opened(inverter) as manifest:
        before, left = divide(work, TINY.n_mels, manifest)
    assert left == []
    assert [Path(outcome.output).stem for outcome in before] == names
    assert all(outcome.before for outcome in before)
    for now, then in zip(before, first, strict=True):
        assert (now.input, now.output, now.frames, now.seconds) == (then.input, then.output, then.frames, then.seconds)
        assert now.mel_error_db == pytest.approx(then.mel_error_db)
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("*.wav")} == times
    Path("out/two_1.wav").unlink()
    assert resumed(work, inverter) == (names[:3], names[3:])  # a file of several mels is made as a whole


def test_the_longest_go_first(inverter):
    _, left = divide(tasks(7), TINY.n_mels)
    assert [task.frames for task in left] == sorted((task.frames for task in left), reverse=True)
    outcomes = list(stream(left, inverter))
    assert [outcome.frames for outcome in outcomes] == [task.frames for task in left]


def test_stopping_early_leaves_whole_files_and_their_entries(inverter):
    work = tasks(7)
    with opened(inverter) as manifest:
        outcomes = stream(work, inverter, manifest=manifest)
        next(outcomes)
        outcomes.close()
    written = sorted(path.stem for path in Path("out").glob("*.wav"))
    assert 0 < len(written) < 7
    assert resumed(work, inverter) == (written, sorted({str(index) for index in range(7)} - set(written)))


def test_a_source_that_changes_on_the_way_is_made_again(inverter):
    work = tasks(2)
    with opened(inverter) as manifest:
        add = manifest.add

        def late(task, *rest):
            if task.source.name == "0.npy":
                save(task.source, tiny_mel(0.3))
            add(task, *rest)

        manifest.add = late
        assert all(outcome.error is None for outcome in invert_files(work, inverter, manifest=manifest))
    assert resumed(work, inverter) == (["1"], ["0"])
