"""Folders that lie: links in and out, names with any character, manifests that say what is not so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome
from tests.tiny import QUICK, TINY, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.errors import FileError, InputError
from torchmelinv.files import find_mels, read_mel
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.invert_files import Outcome, divide
from torchmelinv.jobs.manifest import Manifest, settings
from torchmelinv.jobs.pairs import pair_up
from torchmelinv.jobs.plan import Task, plan

pytestmark = [pytest.mark.usefixtures("workplace"), pytest.mark.skipif(os.name == "nt", reason="links and names of Unix")]


def corpus(folder="in"):
    (Path(folder) / "deep").mkdir(parents=True)
    for name in ("a.npy", "deep/b.npy"):
        np.save(Path(folder, name), tiny_mel().numpy())


def test_walks_follow_no_link_to_a_folder():
    corpus()
    Path("outside").mkdir()
    np.save("outside/secret.npy", np.ones((8, 5), dtype=np.float32))
    for name, target in (("loop", "."), ("up", ".."), ("deep/again", "../deep"), ("way out", "../outside"), ("root", "/"),
                         ("self.npy", "self.npy"), ("gone.npy", "nothing.npy")):
        Path("in", name).symlink_to(target)
    Path("in/linked.npy").symlink_to("../outside/secret.npy")  # a link to a file is a file
    os.mkfifo("in/pipe.npy")
    assert [path.as_posix() for path in find_mels("in")] == ["in/a.npy", "in/deep/b.npy", "in/linked.npy"]
    targets = [task.target.as_posix() for task in plan(["in"], "out")]
    assert targets == ["out/a.wav", "out/deep/b.wav", "out/linked.wav"]
    assert [pair.name for pair in pair_up("in", "in")] == ["a", "deep/b", "linked"]
    assert "pipe" in str(outcome(lambda: read_mel("in/pipe.npy")))
    assert plan(["in/pipe.npy"], "out")[0].measured(8).frames == 0


def test_what_is_written_stays_in_the_output_folder(run):
    corpus()
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


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 60)


@MANY
def test_any_way_of_naming_a_place(many, tmp_path, monkeypatch):
    (tmp_path / "a/b/c/d/e/f").mkdir(parents=True)  # the way up ends in a small world
    monkeypatch.chdir(tmp_path / "a/b/c/d/e/f")
    corpus()
    parts = st.one_of(st.sampled_from(["..", ".", "in", "deep", "a.npy", "~", "", "x" * 300, "out", "b.npy", "tiny.json"]), NAMES)
    paths = st.lists(parts, min_size=1, max_size=5).map("/".join).filter(lambda path: not path.startswith("/"))

    def check(case):
        sources, out = case
        found = outcome(lambda: plan(sources, out))
        if isinstance(found, list):
            base, places = Path(os.path.realpath(out)), [Path(os.path.realpath(task.target)) for task in found]
            assert all(base in (place, *place.parents) for place in places)
        else:
            assert isinstance(found, FileError | InputError)

    fuzz(check, st.tuples(st.lists(paths, min_size=1, max_size=3), paths), 200, many)


def made():
    """A folder that is done, and its manifest's header and entry."""
    inverter = MelInverter(TINY, n_iter=0, start="zero")
    task = Task(Path("out/a.wav"), Path("mel.npy"))
    with Manifest(Path("out"), settings(inverter)) as manifest:
        task.target.write_bytes(b"x" * 100)
        facts = {"frames": 3, "seconds": 1.0, "peak": 0.5, "gain_db": 0.0, "mel_error_db": None, "warnings": ["one"]}
        manifest.add(task, task.source.stat(), 0, 1, facts)
    header, entry = Path("out/manifest-0.jsonl").read_bytes().splitlines()
    return settings(inverter), task, header, entry


def told(decided, task):
    """What is left after a manifest that may say anything: the task, or what it became, once."""

    def ask():
        with Manifest(Path("out"), decided) as manifest:
            return divide([task], 8, manifest)

    before, left = outcome(ask)
    assert len(before) + len(left) == 1
    for each in before:
        assert isinstance(each, Outcome)
        assert each.output == "out/a.wav"
        assert isinstance(each.seconds + each.peak + each.gain_db + each.mel_error_db + each.frames, float)
    return before


@MANY
def test_a_manifest_that_lies(many):
    decided, task, header, entry = made()
    assert told(decided, task)
    values = json.loads(entry)
    anything = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2),
        st.sampled_from(["../../x.wav", "/etc/passwd", "a.wav", 10**400, -1, 0, 1, 2, "\ud800", {}]))
    inner = [(group, name) for group in ("made", "facts") for name in [*values[group], "more"]]
    places = st.sampled_from([*((name,) for name in values), ("more",), *inner])

    def check(case):
        lies, damage = case
        lying = json.loads(entry)
        for (*above, name), value in lies:
            where = lying[above[0]] if above else lying
            if isinstance(where, dict):
                where[name] = value
        Path("out/manifest-0.jsonl").write_bytes(b"\n".join([header, json.dumps(lying).encode(), damage]))
        told(decided, task)

    fuzz(check, st.tuples(st.lists(st.tuples(places, anything), min_size=1, max_size=3), damaged(entry)), 200, many)
    deep = b"[" * 10**6 + b"\n" + b'{"made":' * 10**5
    Path("out/manifest-0.jsonl").write_bytes(deep + b"\n" + entry)
    assert told(decided, task)
