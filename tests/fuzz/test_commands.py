"""Commands with damaged files, odd names and any arguments give exit codes, not tracebacks."""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, WIDER, bounded, damaged, fuzz
from tests.tiny import QUICK, TINY_ONE, tiny_mel, workplace  # noqa: F401
from torchmelinv.cli import main as cli

pytestmark = pytest.mark.usefixtures("workplace")
MESSAGE = re.compile(r"torchmelinv: (error|warning|note): .+")
COMMANDS = [
    ["invert", "x.npy", "-o", "x.wav", *QUICK],
    ["invert", "in", "-o", "out", *QUICK, "--json"],
    ["identify", "x.npy"],
    ["identify", "x.npy", "--json"],
    ["convert", "x.npy", "-o", "y.npy", "--from", "tiny.json", "--to", "tiny.json"],
    ["evaluate", "--reference", "mel.npy", "--generated", "x.npy", *TINY_ONE],
    ["roundtrip", "x.wav", "-o", "y.wav", *QUICK],
    ["evaluate", "--reference", "speech.wav", "--generated", "x.wav", *TINY_ONE],
]


def run(arguments):
    """Run a command line as a shell would; return its exit code, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        bounded(WIDER),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")  # the command line prints warnings
        try:
            code = cli.main(arguments)
        except SystemExit as exit_:
            code = exit_.code
    assert code in (0, 1, 2), (arguments, code)
    assert "Traceback" not in err.getvalue()
    assert code == 0 or "error: " in err.getvalue()
    for line in err.getvalue().splitlines():
        assert MESSAGE.fullmatch(line), line
    return code, out.getvalue(), err.getvalue()


@MANY
def test_damaged_files(many):
    Path("in").mkdir()
    mel, wav = Path("mel.npy").read_bytes(), Path("speech.wav").read_bytes()

    def check(case):
        arguments, damaged_mel, damaged_wav = case
        Path("x.npy").write_bytes(damaged_mel)
        Path("x.wav").write_bytes(damaged_wav)
        Path("in/x.npy").write_bytes(damaged_mel)
        run(arguments)

    cases = st.tuples(st.sampled_from(COMMANDS), damaged(mel, 128), damaged(wav, 44))
    fuzz(check, cases, 150, many)


@MANY
def test_any_values(many):
    """Intact files with any numbers in them."""
    special = st.sampled_from(
        [0.0, -0.0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 1e30, -1e4, -11.5, 1.0]
    )

    def check(case):
        arguments, changes, dtype = case
        mel = tiny_mel().numpy().astype(dtype)
        with np.errstate(all="ignore"):
            for index, value in changes:
                mel.flat[index % mel.size] = value
        np.save("x.npy", mel)
        run(arguments)

    commands = [arguments for arguments in COMMANDS if "x.npy" in arguments]
    value = st.one_of(special, st.floats(width=32))
    changes = st.lists(st.tuples(st.integers(0, 10**4), value), max_size=4)
    dtypes = st.sampled_from(["f4", ">f4", "f8", "f2"])
    fuzz(check, st.tuples(st.sampled_from(commands), changes, dtypes), 100, many)


# fmt: off
OPTIONS = [
    "--n-iter", "--seed", "--device", "--convention", "--phase", "--init", "--plot", "-o", "--out",
    "--batch", "--json", "--mfcc", "--strict", "--format", "--model-space", "--from", "--to",
    "--reference", "--generated", "--", "--subtype",
]
VALUES = [
    "mel.npy", "speech.wav", "tiny.json", "none.json", "out", "x.wav", "x.png", "0", "1", "-1",
    str(2**64), "1e3", "cpu", "meta", "cuda:7", "cpu:1", "hpu", "xla:0", "", " ", ".", "..", "a\nb",
    "\x1b[31m", "$x^$", "x" * 300, "\ud800", "hifigan_22k", "zero", "griffin_lim", "flac",
]
# fmt: on
COMMAND_NAMES = ["presets", "invert", "convert", "evaluate", "roundtrip", "identify"]


@MANY
def test_any_arguments(many):
    argument = st.one_of(st.sampled_from(OPTIONS), st.sampled_from(VALUES), st.text(max_size=5))

    def check(case):
        command, arguments = case
        if not any(argument.startswith(("/", "~")) for argument in arguments):
            run([*command, *arguments])

    starts = st.sampled_from([*COMMANDS, *([name] for name in COMMAND_NAMES), []])
    fuzz(check, st.tuples(starts, st.lists(argument, max_size=3)), 150, many)


@pytest.mark.skipif(os.name == "nt", reason="names of Unix")
@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b]0;b\x07", "a\u202eb", "$\\frac$", "a\udc80b", "-o", "a%b{c}", "näme 音"]
)
def test_any_file_name(name):
    """Names of files move no cursor and start no line."""
    Path(name).mkdir()
    np.save(f"{name}/{name}.npy", tiny_mel().numpy())
    Path(f"{name}/{name}2.npy").write_bytes(b"broken")
    Path(f"{name}/{name}.wav").write_bytes(Path("speech.wav").read_bytes())
    folder = f"./{name}"
    outputs = ["-o", f"{folder}/x.wav", "--plot", f"{folder}/x.png"]
    generated = ["--generated", f"{folder}/out"]
    printed = [
        run(arguments)[1:]
        for arguments in (
            ["invert", folder, "-o", f"{folder}/out", *QUICK],
            ["roundtrip", f"{folder}/{name}.wav", *outputs, *QUICK],
            ["evaluate", "--reference", f"{folder}/out", *generated, *TINY_ONE],
            ["convert", folder, "-o", f"{folder}/to", "--from", "tiny.json", "--to", "tiny.json"],
        )
    ]
    for line in "".join(out + err for out, err in printed).split("\n"):
        assert line.isprintable(), repr(line)
    for _, err in printed:
        assert "error" not in err or "broken" in err or "2.npy" in err
