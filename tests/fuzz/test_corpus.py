"""Hostile folders: links in and out, names with any character, manifests with false values."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome
from tests.tiny import QUICK, TINY, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.corpus.file_inversion import Outcome, split_tasks
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.pairs import pair_files
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.errors import FileError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.mels import find_mels, read_mel

pytestmark = [
    pytest.mark.usefixtures("workplace"),
    pytest.mark.skipif(os.name == "nt", reason="links and names of Unix"),
]


def make_corpus(folder="in"):
    (Path(folder) / "deep").mkdir(parents=True)
    for name in ("a.npy", "deep/b.npy"):
        np.save(Path(folder, name), tiny_mel().numpy())


def test_searches_follow_no_link_to_a_folder():
    make_corpus()
    Path("outside").mkdir()
    np.save("outside/secret.npy", np.ones((8, 5), dtype=np.float32))
    links = {
        "loop": ".",
        "up": "..",
        "deep/again": "../deep",
        "way out": "../outside",
        "root": "/",
        "self.npy": "self.npy",
        "gone.npy": "nothing.npy",
        "linked.npy": "../outside/secret.npy",  # a link to a file is a file
    }
    for name, target in links.items():
        Path("in", name).symlink_to(target)
    os.mkfifo("in/pipe.npy")
    mels = [path.as_posix() for path in find_mels("in")]
    assert mels == ["in/a.npy", "in/deep/b.npy", "in/linked.npy"]
    targets = [task.target.as_posix() for task in plan(["in"], "out")]
    assert targets == ["out/a.wav", "out/deep/b.wav", "out/linked.wav"]
    assert [pair.name for pair in pair_files("in", "in")] == ["a", "deep/b", "linked"]
    assert "pipe" in str(outcome(lambda: read_mel("in/pipe.npy")))
    assert plan(["in/pipe.npy"], "out")[0].with_n_frames(8).n_frames == 0


def test_nothing_is_written_outside_the_output_folder(run):
    make_corpus()
    for folder in ("elsewhere", "out"):
        Path(folder).mkdir()
    Path("elsewhere/file").write_text("untouched")
    Path("out/a.wav").symlink_to("../elsewhere/file")
    Path("out/manifest-0.jsonl").symlink_to("../elsewhere/file")
    Path("out/.staging-0").symlink_to("../elsewhere")
    code, _, err = run("invert", "in", "-o", "out", *QUICK)
    assert code == 0, err
    assert not Path("out/a.wav").is_symlink()
    Path("out/deep/b.wav").unlink()
    Path("out/deep").rmdir()
    Path("out/deep").symlink_to("../elsewhere")
    code, _, err = run("invert", "in", "-o", "out", *QUICK)
    assert code == 2
    assert "leads out of the output folder" in err
    assert [path.name for path in Path("elsewhere").iterdir()] == ["file"]
    assert Path("elsewhere/file").read_text() == "untouched"


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 60)
PARTS = ["..", ".", "in", "deep", "a.npy", "~", "", "x" * 300, "out", "b.npy", "tiny.json"]


@MANY
def test_any_path(many, tmp_path, monkeypatch):
    (tmp_path / "a/b/c/d/e/f").mkdir(parents=True)  # the way up ends in a folder of this test
    monkeypatch.chdir(tmp_path / "a/b/c/d/e/f")
    make_corpus()
    parts = st.lists(st.one_of(st.sampled_from(PARTS), NAMES), min_size=1, max_size=5)
    paths = parts.map("/".join).filter(lambda path: not path.startswith("/"))

    def check(case):
        sources, output = case
        tasks = outcome(lambda: plan(sources, output))
        if not isinstance(tasks, list):
            assert isinstance(tasks, FileError | InputError)
            return
        root = Path(os.path.realpath(output))
        for task in tasks:
            target = Path(os.path.realpath(task.target))
            assert root in (target, *target.parents)

    fuzz(check, st.tuples(st.lists(paths, min_size=1, max_size=3), paths), 200, many)


def finish_task():
    """Finish a task; return the settings, the task, and header and entry of its manifest."""
    settings = inversion_settings(MelInverter(TINY, n_iter=0, init="zero"))
    task = Task(Path("out/a.wav"), Path("mel.npy"))
    info = {
        "n_frames": 3,
        "n_channels": 2,
        "seconds": 1.0,
        "peak": 0.5,
        "gain_db": 0.0,
        "mel_error_db": None,
        "restored": False,
        "warnings": ["a warning"],
    }
    with Manifest(Path("out"), settings) as manifest:
        task.target.write_bytes(b"x" * 100)
        manifest.add(task, task.source.stat(), 0, 1, info)
    header, entry = Path("out/manifest-0.jsonl").read_bytes().splitlines()
    return settings, task, header, entry


def read_manifest(settings, task):
    """Read a manifest that may hold anything: the task is either skipped or remaining, once."""

    def split():
        with Manifest(Path("out"), settings) as manifest:
            return split_tasks([task], 8, manifest)

    skipped, remaining = outcome(split)
    assert len(skipped) + len(remaining) == 1
    for each in skipped:
        assert isinstance(each, Outcome)
        assert each.output == "out/a.wav"
        counts = (each.n_frames, each.n_channels)
        numbers = (*counts, each.seconds, each.peak, each.gain_db, each.mel_error_db)
        assert isinstance(sum(numbers), float)
    return skipped


@MANY
def test_a_manifest_with_false_values(many):
    settings, task, header, entry = finish_task()
    assert read_manifest(settings, task)
    values = json.loads(entry)
    anything = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.lists(st.integers(), max_size=2),
        st.sampled_from(
            ["../../x.wav", "/etc/passwd", "a.wav", 10**400, -1, 0, 1, 2, "\ud800", {}]
        ),
    )
    groups = ("output_stamp", "info")
    inner = [(group, name) for group in groups for name in [*values[group], "more"]]
    keys = st.sampled_from([*((name,) for name in values), ("more",), *inner])

    def check(case):
        changes, damaged_entry = case
        changed = json.loads(entry)
        for (*group, name), value in changes:
            record = changed[group[0]] if group else changed
            if isinstance(record, dict):
                record[name] = copy.deepcopy(value)  # a shared {} could end in itself
        lines = [header, json.dumps(changed).encode(), damaged_entry]
        Path("out/manifest-0.jsonl").write_bytes(b"\n".join(lines))
        read_manifest(settings, task)

    changes = st.lists(st.tuples(keys, anything), min_size=1, max_size=3)
    fuzz(check, st.tuples(changes, damaged(entry)), 200, many)
    deep = b"[" * 10**6 + b"\n" + b'{"output_stamp":' * 10**5
    Path("out/manifest-0.jsonl").write_bytes(deep + b"\n" + entry)
    assert read_manifest(settings, task)
