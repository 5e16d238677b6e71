"""Standard streams in place of files carry the bytes of these files and nothing else."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import QUICK, TINY, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.cli import streams
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio

pytestmark = pytest.mark.usefixtures("workplace")


class Stream(io.TextIOWrapper):
    """A text stream whose bytes can be looked at after it is closed."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), write_through=True)


def run_stream(monkeypatch, run, content, *arguments):
    """Run a command with bytes on stdin; return its exit code and the bytes on stdout."""
    stdout = Stream()
    monkeypatch.setattr(sys, "stdin", Stream(content))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        code, _, err = run(*arguments)
    return code, stdout.buffer.getvalue(), err


def test_streams(monkeypatch, run):
    content = Path("mel.npy").read_bytes()
    command = ["invert", "-", "-o", "-", *QUICK]
    code, audio, _ = run_stream(monkeypatch, run, content, *command)
    assert code == 0
    Path("x.wav").write_bytes(audio)
    expected = MelInverter(TINY, n_iter=2)(tiny_mel())
    assert torch.allclose(read_audio("x.wav")[0][0], expected, atol=1e-4)
    code, audio, _ = run_stream(monkeypatch, run, b"", "roundtrip", "speech.wav", "-o", "-", *QUICK)
    Path("y.wav").write_bytes(audio)
    assert read_audio("y.wav")[0].shape == (1, 1600)
    to = ["--from", "tiny.json", "--to", "tiny.json"]
    code, mel, _ = run_stream(monkeypatch, run, content, "convert", "-", "-o", "-", *to)
    assert np.load(io.BytesIO(mel)).shape == (8, 101)
    code, text, _ = run_stream(monkeypatch, run, content, "identify", "-")
    assert text.startswith(b"shape")
    assert not Path("-").exists()


def test_streams_that_cannot_be(monkeypatch, run):
    batch = io.BytesIO()
    np.save(batch, torch.stack([tiny_mel()] * 3)[:, None].numpy())
    for content, arguments, message in (
        (batch.getvalue(), ["-"], "the input holds 3 mels, and a stream takes one file"),
        (b"", ["mel.npy", "mel.npy"], "give one input"),
        (b"", ["-", "-"], "give one input"),
    ):
        command = ["invert", *arguments, "-o", "-", *QUICK]
        code, out, err = run_stream(monkeypatch, run, content, *command)
        assert (code, out) == (2, b"")
        assert message in err
    code, out, err = run_stream(monkeypatch, run, b"x", "invert", "-", "-o", "-", *QUICK)
    assert (code, out) == (1, b"")
    assert "cannot be read" in err


@pytest.mark.parametrize("command", ["invert", "identify", "convert"])
def test_messages_name_the_stream_and_no_temporary_file(monkeypatch, run, command):
    options = {
        "invert": ["-o", "x.wav", "--json", *QUICK],
        "identify": ["--json"],
        "convert": ["-o", "x.npy", "--from", "tiny.json", "--to", "tiny.json"],
    }
    few_bands = io.BytesIO()
    np.save(few_bands, np.zeros((3, 20), np.float32))
    for content in (b"garbage", few_bands.getvalue(), Path("mel.npy").read_bytes()):
        _, out, err = run_stream(monkeypatch, run, content, command, "-", *options[command])
        assert tempfile.gettempdir() not in out.decode() + err
    if command == "invert":
        assert json.loads(out)["files"][0]["input"] == "stdin"


@pytest.mark.parametrize("path", ["/a/stdin.npy", r"C:\a\stdin.npy"])
def test_a_path_is_renamed_in_text_in_json_and_in_errors(capsys, path):
    @streams._shown_as({path: "stdin"})
    def run():
        print(path, json.dumps({"input": path}), repr(path))
        raise FileNotFoundError(2, "gone", path)

    with pytest.raises(OSError, match=r"^\[Errno 2\] gone: 'stdin'$"):
        run()
    assert capsys.readouterr().out == 'stdin {"input": "stdin"} \'stdin\'\n'


def test_a_temporary_folder_behind_a_link_is_not_named(monkeypatch, run, tmp_path):
    Path(tmp_path, "real").mkdir()
    Path(tmp_path, "link").symlink_to(Path(tmp_path, "real"))
    monkeypatch.setattr(tempfile, "tempdir", str(Path(tmp_path, "link")))
    content = Path("mel.npy").read_bytes()
    _, out, err = run_stream(monkeypatch, run, content, "invert", "-", "-o", "x.wav", *QUICK)
    assert str(tmp_path) not in out.decode() + err
    assert b"stdin -> x.wav" in out
