"""The memory of a folder: what counts as done, what is made again, and who may write there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.errors import FileError
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.manifest import Manifest, settings
from torchmelinv.jobs.plan import Task
from torchmelinv.jobs.shard import World

pytestmark = pytest.mark.usefixtures("workplace")
OUT = Path("out")
FACTS = {"frames": 3, "mel_error_db": float("nan")}
PLAIN = {"version": "1", "inverter": "entropic"}


def task(name="a"):
    return Task(OUT / f"{name}.wav", Path(f"{name}.npy"))


def make(name="a", world=World(), decided=PLAIN, count=1):  # noqa: B008
    """A source, its audio, and the entries that say so."""
    work = task(name)
    if not work.source.exists():
        np.save(work.source, tiny_mel().numpy())
    with Manifest(OUT, decided, world) as manifest:
        for index in range(count):
            work.numbered(index, count).write_bytes(f"{name}{index}".encode() * 10)
            manifest.add(work, work.source.stat(), index, count, FACTS)
    return work


def found(work, decided=PLAIN, world=World()):  # noqa: B008
    with Manifest(OUT, decided, world) as manifest:
        return manifest.done(work)


def test_an_entry_says_what_there_is():
    work = make()
    (entry,) = found(work)
    assert (entry.target, entry.output, entry.index, entry.count) == ("a.wav", "a.wav", 0, 1)
    assert entry.facts == {"frames": 3, "mel_error_db": None}
    assert entry.made.size == len("a0" * 10)
    assert entry.input == os.path.abspath("a.npy")
    header, line = Path("out/manifest-0.jsonl").read_text().splitlines()
    assert json.loads(header)["stands_for"] == PLAIN
    assert json.loads(line)["made"]["sha256"] == entry.made.sha256
    assert found(task("b")) == []


def change_source(work):
    np.save(work.source, tiny_mel(seed=1).numpy())


def change_source_in_size(work):
    np.save(work.source, tiny_mel(0.3).numpy())


def damage(work):
    work.target.write_bytes(b"x" * work.target.stat().st_size)


def cut(work):
    os.truncate(work.target, 3)


def remove(work):
    work.target.unlink()


@pytest.mark.parametrize("happens", [change_source, change_source_in_size, damage, cut, remove])
def test_what_has_changed_is_made_again(happens):
    work = make()
    happens(work)
    assert found(work) == []


def touch(work):
    os.utime(work.source)
    os.utime(work.target)


def copy_elsewhere(work):
    shutil.copytree("out", "copy")
    shutil.rmtree("out")
    shutil.move("copy", "out")


@pytest.mark.parametrize("happens", [touch, copy_elsewhere])
def test_the_same_content_is_the_same_file(happens):
    work = make()
    happens(work)
    assert len(found(work)) == 1


def test_another_folder_of_sources_has_to_have_the_same_content():
    make()
    status = Path("a.npy").stat()
    Path("other").mkdir()
    for seed, same in ((0, True), (1, False)):
        np.save("other/a.npy", tiny_mel(seed=seed).numpy())
        os.utime("other/a.npy", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert bool(found(Task(OUT / "a.wav", Path("other/a.npy")))) == same


def test_all_that_decides_is_among_the_settings():
    base = MelInverter(TINY, n_iter=2)
    others = [
        MelInverter(TINY, n_iter=3), MelInverter(TINY, n_iter=2, seed=1), MelInverter(TINY, "pinv", n_iter=2),
        MelInverter(TINY, phase="raar", n_iter=2), MelInverter(TINY, n_iter=2, momentum=0.9),
        MelInverter(TINY, n_iter=2, tolerance=0.1), MelInverter(TINY.replace(f_min=10), n_iter=2),
        MelInverter(TINY, n_iter=2, start="zero"),
    ]
    decided = [settings(base, version="1", subtype="PCM_16"), settings(base, version="2", subtype="PCM_16"),
               settings(base, version="1", subtype="FLOAT"), *(settings(each, version="1", subtype="PCM_16") for each in others)]
    work = make(decided=decided[0])
    assert found(work, settings(MelInverter(TINY, n_iter=2), version="1", subtype="PCM_16"))
    assert not any(found(work, each) for each in decided[1:])


def test_the_entry_of_the_file_that_is_there_counts():
    other = {**PLAIN, "inverter": "pinv"}
    work = make()
    work.target.unlink()
    with Manifest(OUT, other) as manifest:
        work.target.write_bytes(b"another")
        manifest.add(work, work.source.stat(), 0, 1, FACTS)
    assert found(work) == []
    assert len(found(work, other)) == 1


def test_all_mels_of_a_source_or_none():
    work = make(count=3)
    assert [entry.output for entry in found(work)] == ["a_0.wav", "a_1.wav", "a_2.wav"]
    (OUT / "a_1.wav").unlink()
    assert found(work) == []


@pytest.mark.parametrize("end", [b'{"target": "b.wa', b"\x00" * 40, b'{"target": 1}\n', b"[1]\n", b"\xff\xfe\n", b"\n\n"])
def test_a_line_that_is_not_whole_counts_as_none_and_spoils_no_other(end):
    make()
    with Path("out/manifest-0.jsonl").open("ab") as stream:
        stream.write(end)
    assert len(found(task())) == 1
    make("c")
    assert len(found(task())) == len(found(task("c"))) == 1


def test_manifests_of_all_ranks_are_read():
    make("a", World(0, 3))
    make("b", World(2, 3))
    assert all(found(task(name), world=World(1, 2)) for name in "ab")


def test_a_rank_is_held_by_one_process_at_a_time():
    again = Manifest(OUT, PLAIN)
    with Manifest(OUT, PLAIN), Manifest(OUT, PLAIN, World(1, 2)), pytest.raises(FileError, match="another process is working"):
        again.__enter__()
    with again:
        pass


def test_what_killed_runs_left_is_removed_by_one_rank():
    for rank in range(4):
        (OUT / f".staging-{rank}").mkdir(parents=True)
        (OUT / f".staging-{rank}" / ".half.wav").write_bytes(b"half")
    with Manifest(OUT, PLAIN, World(1, 2)):
        assert sorted(path.name for path in OUT.glob(".staging-*")) == [".staging-0", ".staging-2"]
    with Manifest(OUT, PLAIN):
        assert not list(OUT.glob(".staging-*"))


def test_a_folder_that_cannot_be_written():
    Path("out").write_text("a file")
    with pytest.raises(FileError, match="cannot be written"), Manifest(OUT, PLAIN):
        pass


def test_names_of_any_language():
    work = make("mél ü 音")
    assert len(found(work)) == 1
