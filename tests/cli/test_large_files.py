"""A file that is too large for the memory costs one line; the other files are done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.sparse import save_sparse
from tests.tiny import QUICK, TINY_ONE, console, workplace  # noqa: F401

pytestmark = pytest.mark.usefixtures("workplace")
COMMANDS = {
    "invert": ["invert", "in", "-o", "out", *QUICK],
    "convert": ["convert", "in", "-o", "out", "--from", "tiny.json", "--to", "tiny.json"],
    "evaluate": ["evaluate", "--reference", "in", "--generated", "in", *TINY_ONE],
    "statistics": ["statistics", "in", "-o", "out.json", *TINY_ONE],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_the_others_are_done(run, command, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    Path("in").mkdir()
    save_sparse(Path(f"in/huge{suffix}"))
    for name in ("a", "b"):
        shutil.copy("mel.npy", f"in/{name}.npy")
    code, out, err = run(*COMMANDS[command])
    assert code == 1, err
    errors = [line for line in err.splitlines() if "huge" in line]
    assert len(errors) == 1
    assert "too large" in errors[0]
    if command in ("invert", "convert"):
        assert len([*Path("out").glob("[ab].*")]) == 2
    elif command == "evaluate":
        assert "-300.0" in out
        assert "1 of 3 pairs could not be compared" in err
    else:
        assert out.startswith("out.json: 2 files")
