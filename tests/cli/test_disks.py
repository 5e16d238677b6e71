"""Full and read-only disks: every command ends at once, with exit code 1 and one error of them."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.full_disk import full_disk  # noqa: F401
from tests.tiny import QUICK, TINY_ONE, console, tiny_mel, workplace  # noqa: F401

pytestmark = pytest.mark.usefixtures("workplace", "full_disk")
N_FILES = 60
CONVENTIONS = ["--from", "tiny.json", "--to", "tiny.json"]


@pytest.fixture
def corpus(workplace):  # noqa: F811
    Path("in").mkdir()
    for index in range(N_FILES):
        np.save(f"in/{index:02d}.npy", tiny_mel(0.5, seed=index).numpy())


def fill(folder):
    """Write until no room is left."""
    with contextlib.suppress(OSError), (folder / "rest").open("ab", 0) as stream:
        while True:
            stream.write(bytes(4096))


def check(result, reason):
    code, _, err = result
    assert code == 1
    assert err.count(reason) == err.count("cannot be written") == 1
    return err


@pytest.mark.usefixtures("corpus")
def test_a_job_ends_when_the_disk_is_full(run, full_disk):  # noqa: F811
    command = ["invert", "in", "-o", "full/out", *QUICK]
    err = check(run(*command), "No space left on device")
    count = int(err.split("error: ")[1].split(" of ")[0])
    assert f"{count} of {N_FILES} files done, {N_FILES - count} remaining" in err
    assert 0 < count < N_FILES
    written = len(list(full_disk.rglob("*.wav")))
    assert count <= written
    subprocess.run(["mount", "-o", "remount,size=9m", str(full_disk)], check=True)
    code, out, _ = run(*command)
    assert code == 0
    assert f"{N_FILES} of {N_FILES} files done, {count} of them by an earlier run" in out
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    check(run(*command), "Read-only file system")


@pytest.mark.usefixtures("corpus")
def test_other_commands(run, full_disk):  # noqa: F811
    Path("many").mkdir()
    np.save("many/x.npy", np.stack([tiny_mel(0.5).numpy()] * 100))
    for folder in ("in", "many"):
        arguments = ["convert", folder, "-o", f"full/{folder}", *CONVENTIONS]
        check(run(*arguments), "No space left on device")
    fill(full_disk)
    check(run("roundtrip", "speech.wav", "-o", "full/x.wav", *QUICK), "No space left on device")
    check(run("statistics", "in", "-o", "full/x.json", *TINY_ONE), "No space left on device")


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("ahead", [True, False])
def test_scores_are_printed_before_the_figure(run, full_disk, monkeypatch, ahead):  # noqa: F811
    options = ["--reference", "in", "--generated", "in", *TINY_ONE, "--plot", "full/x.png"]
    if ahead:
        subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
        monkeypatch.setattr("torchmelinv.cli.evaluate.evaluate", None)  # not called
        check(run("evaluate", *options), "Read-only file system")
        return
    fill(full_disk)
    result = run("evaluate", *options)
    check(result, "No space left on device")
    assert "mel error" in result[1]
