"""Messages, exit codes, JSON and devices, which all commands share."""

from __future__ import annotations

import io
import json
import math
import warnings
from pathlib import Path

import pytest
import torch

from torchmelinv.cli.console import FailedError, failures, handle_errors, print_json
from torchmelinv.errors import DiskError, FileError, InputError, MelValueWarning


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("this is wrong"), 2, "torchmelinv: error: this is wrong\n"),
        (FileError("x.npy does not exist"), 2, "torchmelinv: error: x.npy does not exist\n"),
        (FailedError("x.wav is broken"), 1, "torchmelinv: error: x.wav is broken\n"),
        (DiskError("x.wav: no space"), 1, "torchmelinv: error: x.wav: no space\n"),
        (torch.OutOfMemoryError(), 1, "not enough memory"),
        (OSError("disk full"), 2, "torchmelinv: error: system error: disk full\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_expected_errors_have_a_code_and_a_message(capsys, error, code, message):
    def command():
        raise error

    assert handle_errors(command) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_errors_of_files_become_failures():
    with pytest.raises(FailedError, match="broken"), failures():
        raise FileError("x.wav is broken")
    with pytest.raises(InputError), failures():
        raise InputError("this is wrong")


def test_codes_are_returned_and_other_errors_raised():
    assert handle_errors(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        handle_errors(lambda: 1 // 0)


def test_warnings_are_printed_on_one_line(capsys):
    def command():
        warnings.simplefilter("default")
        warnings.warn("looks odd", MelValueWarning, stacklevel=1)
        return 0

    assert handle_errors(command) == 0
    assert capsys.readouterr().err == "torchmelinv: warning: looks odd\n"


def test_a_closed_pipe(monkeypatch):
    closed = []
    monkeypatch.setattr("torchmelinv.cli.console.os.dup2", lambda *_: closed.append(True))
    monkeypatch.setattr(
        "torchmelinv.cli.console.sys.stdout", type("Pipe", (), {"fileno": lambda self: 1})()
    )

    def command():
        raise BrokenPipeError

    assert handle_errors(command) == 1
    assert closed


def test_characters_that_a_stream_cannot_encode(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    assert handle_errors(lambda: print("1 … 2") or 0) == 0
    assert stream.buffer.getvalue().strip() == b"1 ? 2"


def test_json_has_no_nan(capsys):
    value = {
        "a": math.nan,
        "b": [math.inf, 1.5, (-math.inf, 2)],
        "c": Path("x"),
        "d": {"e": None},
        "f": "ü",
    }
    print_json(value)
    assert json.loads(capsys.readouterr().out) == {
        "a": None,
        "b": [None, 1.5, [None, 2]],
        "c": "x",
        "d": {"e": None},
        "f": "ü",
    }
