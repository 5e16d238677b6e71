"""Which mel file becomes which audio file, and how many frames it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import tiny_mel, workplace  # noqa: F401
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.errors import FileError, InputError

pytestmark = pytest.mark.usefixtures("workplace")


def save(path, mel):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, mel.numpy())


@pytest.mark.parametrize(
    ("inputs", "output", "suffix", "targets"),
    [
        (["mel.npy"], "x.wav", ".wav", ["x.wav"]),
        (["mel.npy"], "x.FLAC", ".wav", ["x.FLAC"]),
        (["mel.npy"], "out", ".wav", ["out/mel.wav"]),
        (["mel.npy"], "existing", ".flac", ["existing/mel.flac"]),
        (["mel.npy", "in/a.npy"], "out.d", ".flac", ["out.d/mel.flac", "out.d/a.flac"]),
        (["in"], "out", ".wav", ["out/a.wav", "out/deep/b.wav"]),
        (
            ["in", "mel.npy", "mel.npy"],
            "out",
            ".wav",
            ["out/mel.wav", "out/a.wav", "out/deep/b.wav"],
        ),
    ],
)
def test_inputs_are_paired_with_outputs(inputs, output, suffix, targets):
    save("in/a.npy", tiny_mel())
    save("in/deep/b.npy", tiny_mel())
    Path("existing").mkdir()
    assert [str(task.target) for task in plan(inputs, output, suffix)] == targets


@pytest.mark.parametrize(
    ("inputs", "output", "error", "message"),
    [
        (["none.npy"], "x.wav", FileError, "none.npy does not exist"),
        (["empty"], "out", FileError, "the folder empty contains no mel file"),
        (
            ["mel.npy", "speech.wav"],
            "x.wav",
            InputError,
            "several inputs need a folder, for example -o x",
        ),
        (["in"], "x.wav", InputError, "several inputs need a folder"),
        (["mel.npy"], "x.mp3", InputError, "ends in '.mp3'"),
        (["mel.npy"], "tiny.json", InputError, "ends in '.json'"),
        (["in"], "file", FileError, "file is a file; the output must be a folder"),
        (["mel.npy", "in/mel.npy"], "out", InputError, "would both become out/mel.wav"),
        (["twice"], "out", InputError, "would both become out/x.wav"),
    ],
)
def test_inputs_that_cannot_be_paired_are_refused(inputs, output, error, message):
    for path in ("in/mel.npy", "twice/x.npy", "twice/x.npz"):
        save(path, tiny_mel())
    Path("twice/x.npz").touch()
    Path("empty").mkdir()
    Path("file").touch()
    with pytest.raises(error, match=message):
        plan(inputs, output)


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (["mel.npy"], "mel.npy"),
        (["in"], "in"),
        (["in"], "link"),
        (["in", "out/b.npy"], "out"),
    ],
)
def test_no_input_is_overwritten(inputs, output):
    for path in ("in/a.npy", "out/b.npy"):
        save(path, tiny_mel())
    Path("link").symlink_to("in")
    with pytest.raises(InputError, match=r"\.npy is among the inputs"):
        plan(inputs, output, ".npy")
    assert plan(["in"], "in", ".wav") == [Task(Path("in/a.wav"), Path("in/a.npy"))]


def test_frames_are_read_from_the_header():
    mel = tiny_mel().numpy()
    np.save("many.npy", np.stack([mel] * 3))
    np.save("fortran.npy", np.asfortranarray(mel.astype(np.float64)))
    torch.save(tiny_mel(), "x.pt")
    Path("broken.npy").write_bytes(b"\x93NUMPY\x01\x00nothing")
    Path("empty.npy").touch()
    expected = {
        "mel.npy": 101,
        "many.npy": 303,
        "fortran.npy": 101,
        "broken.npy": 0,
        "empty.npy": 0,
        "none.npy": 0,
    }

    def n_frames(name):
        return Task(Path("x.wav"), Path(name)).with_n_frames(8).n_frames

    assert {name: n_frames(name) for name in expected} == expected
    assert 101 <= n_frames("x.pt") <= 303  # from the file size, which is larger than the mel


def test_several_mels_are_numbered_with_equal_width():
    task = Task(Path("out/x.wav"), Path("x.npy"))
    assert task.output_path(0, 1) == Path("out/x.wav")
    assert task.output_path(1, 2) == Path("out/x_1.wav")
    assert task.output_path(7, 12) == Path("out/x_07.wav")


def test_tasks_sort_by_their_targets():
    save("in/b.npy", tiny_mel())
    save("in/a/z.npy", tiny_mel())
    assert [task.source.name for task in sorted(plan(["in"], "out"))] == ["z.npy", "b.npy"]
