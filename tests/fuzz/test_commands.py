"""Every command with damaged files, odd names and any words: an exit code, a line for each mistake, never a traceback."""

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
from torchmelinv import cli

pytestmark = pytest.mark.usefixtures("workplace")
LINE = re.compile(r"torchmelinv: (error|warning|note): .+")
COMMANDS = [
    ["invert", "x.npy", "-o", "x.wav", *QUICK], ["invert", "in", "-o", "out", *QUICK, "--json"], ["inspect", "x.npy"],
    ["inspect", "x.npy", "--json"], ["convert", "x.npy", "-o", "y.npy", "--from", "tiny.json", "--to", "tiny.json"],
    ["evaluate", "--reference", "mel.npy", "--generated", "x.npy", *TINY_ONE], ["roundtrip", "x.wav", "-o", "y.wav", *QUICK],
    ["evaluate", "--reference", "speech.wav", "--generated", "x.wav", *TINY_ONE],
]


def ask(words):
    """Run a command line as a shell would; its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), bounded(WIDER), warnings.catch_warnings():
        warnings.simplefilter("default")  # a program's warnings are said, not raised
        try:
            code = cli.main(words)
        except SystemExit as leaving:
            code = leaving.code
    assert code in (0, 1, 2), (words, code)
    assert "Traceback" not in err.getvalue()
    assert code == 0 or "error: " in err.getvalue()
    if not err.getvalue().startswith("usage: "):  # argparse repeats a command line as it came
        for line in err.getvalue().splitlines():
            assert LINE.fullmatch(line), line
    return code, out.getvalue(), err.getvalue()


@MANY
def test_damaged_files(many):
    Path("in").mkdir()
    contents = {"x.npy": Path("mel.npy").read_bytes(), "x.wav": Path("speech.wav").read_bytes()}

    def check(case):
        words, mel, wave = case
        Path("x.npy").write_bytes(mel)
        Path("x.wav").write_bytes(wave)
        Path("in/x.npy").write_bytes(mel)
        ask(words)

    fuzz(check, st.tuples(st.sampled_from(COMMANDS), damaged(contents["x.npy"], 128), damaged(contents["x.wav"], 44)), 150, many)


@MANY
def test_any_values(many):
    """Sound files whose numbers are anything at all."""
    special = st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 1e30, -1e4, -11.5, 1.0])

    def check(case):
        words, values, dtype = case
        mel = tiny_mel().numpy().astype(dtype)
        with np.errstate(all="ignore"):
            for place, value in values:
                mel.flat[place % mel.size] = value
        np.save("x.npy", mel)
        ask(words)

    mels = [words for words in COMMANDS if "x.npy" in words]
    values = st.lists(st.tuples(st.integers(0, 10**4), st.one_of(special, st.floats(width=32))), max_size=4)
    fuzz(check, st.tuples(st.sampled_from(mels), values, st.sampled_from(["f4", ">f4", "f8", "f2"])), 100, many)


@MANY
def test_any_words(many):
    options = [
        "--n-iter", "--seed", "--device", "--convention", "--phase", "--start", "--plot", "-o", "--out", "--batch", "--json",
        "--mfcc", "--strict", "--format", "--model-space", "--from", "--to", "--reference", "--generated", "--",
        "--subtype",
    ]
    values = [
        "mel.npy", "speech.wav", "tiny.json", "none.json", "out", "x.wav", "x.png", "0", "1", "-1", str(2**64), "1e3", "cpu",
        "meta", "cuda:7", "cpu:1", "hpu", "xla:0", "", " ", ".", "..", "a\nb", "\x1b[31m", "$x^$", "x" * 300, "\ud800",
        "hifigan_22k", "zero", "griffin_lim", "flac",
    ]
    word = st.one_of(st.sampled_from(options), st.sampled_from(values), st.text(max_size=5))

    def check(case):
        command, words = case
        if not any(word.startswith(("/", "~")) for word in words):
            ask([*command, *words])

    starts = st.sampled_from([*COMMANDS, ["presets"], ["invert"], ["convert"], ["evaluate"], ["roundtrip"], ["inspect"], []])
    fuzz(check, st.tuples(starts, st.lists(word, max_size=3)), 150, many)


@pytest.mark.skipif(os.name == "nt", reason="names of Unix")
@pytest.mark.parametrize("name", ["a\nb", "a\x1b]0;b\x07", "a\u202eb", "$\\frac$", "a\udc80b", "-o", "a%b{c}", "näme 音"])
def test_any_name(name):
    """Names of files move no cursor and begin no line."""
    Path(name).mkdir()
    np.save(f"{name}/{name}.npy", tiny_mel().numpy())
    Path(f"{name}/{name}2.npy").write_bytes(b"broken")
    Path(f"{name}/{name}.wav").write_bytes(Path("speech.wav").read_bytes())
    place = f"./{name}"
    said = [
        ask(["invert", place, "-o", f"{place}/out", *QUICK])[1:],
        ask(["roundtrip", f"{place}/{name}.wav", "-o", f"{place}/x.wav", "--plot", f"{place}/x.png", *QUICK])[1:],
        ask(["evaluate", "--reference", f"{place}/out", "--generated", f"{place}/out", *TINY_ONE])[1:],
        ask(["convert", place, "-o", f"{place}/to", "--from", "tiny.json", "--to", "tiny.json"])[1:],
    ]
    for text in "".join("".join(each) for each in said).split("\n"):
        assert text.isprintable(), repr(text)
    assert all("error" not in err or "broken" in err or "2.npy" in err for _, err in said), said
