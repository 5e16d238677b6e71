"""Messages, exit codes, JSON and devices: what every command does alike."""

from __future__ import annotations

import io
import json
import math
import warnings
from pathlib import Path

import pytest
import torch

from torchmelinv.errors import FileError, InputError, LevelWarning
from torchmelinv.jobs.console import decibels, guarded, print_json, usable_device


@pytest.mark.parametrize(("error", "code", "says"), [
    (InputError("this is wrong"), 2, "torchmelinv: error: this is wrong\n"),
    (FileError("x.npy does not exist"), 2, "torchmelinv: error: x.npy does not exist\n"),
    (torch.OutOfMemoryError(), 1, "not enough memory"),
    (KeyboardInterrupt(), 130, "interrupted"),
])
def test_what_goes_wrong_has_a_code_and_a_word(capsys, error, code, says):
    def work():
        raise error

    assert guarded(work) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_codes_pass_and_bugs_stay_loud():
    assert guarded(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)


def test_warnings_are_said_in_one_line(capsys):
    def work():
        warnings.simplefilter("default")
        warnings.warn("looks odd", LevelWarning, stacklevel=1)
        return 0

    assert guarded(work) == 0
    assert capsys.readouterr().err == "torchmelinv: warning: looks odd\n"


def test_a_reader_that_had_enough(monkeypatch):
    closed = []
    monkeypatch.setattr("torchmelinv.jobs.console.os.dup2", lambda *_: closed.append(True))
    monkeypatch.setattr("torchmelinv.jobs.console.sys.stdout", type("Pipe", (), {"fileno": lambda self: 1})())

    def work():
        raise BrokenPipeError

    assert guarded(work) == 1
    assert closed


def test_a_stream_of_few_characters(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    assert guarded(lambda: print("1 … 2") or 0) == 0
    assert stream.buffer.getvalue().strip() == b"1 ? 2"


def test_json_has_no_nan(capsys):
    print_json({"a": math.nan, "b": [math.inf, 1.5, (-math.inf, 2)], "c": Path("x"), "d": {"e": None}, "f": "ü"})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5, [None, 2]], "c": "x", "d": {"e": None}, "f": "ü"}


@pytest.mark.parametrize(("value", "text"), [
    (-27.04, "-27.0 dB"), (-300.0, "-300.0 dB"), (-math.inf, "exact"), (math.nan, "not defined"),
])
def test_decibels_in_words(value, text):
    assert decibels(value) == text


def test_devices():
    assert usable_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="there is no device 'gpu'; here there is cpu"):
        usable_device("gpu")
    with pytest.raises(InputError, match="'meta' cannot be used here"):
        usable_device("meta")
    with pytest.raises(InputError, match=r"'cuda:77' cannot be used here \(.+\); here there is cpu"):
        usable_device("cuda:77")
