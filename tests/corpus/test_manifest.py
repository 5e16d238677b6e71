"""The record of a job: which files count as done, which are made again, and who may write."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.sharding import SINGLE_PROCESS, World
from torchmelinv.errors import DiskError, FileError
from torchmelinv.invert import MelInverter

pytestmark = pytest.mark.usefixtures("workplace")
OUT = Path("out")
INFO = {"n_frames": 3, "mel_error_db": float("nan")}
SETTINGS = {"version": "1", "inverter": "entropic"}


def make_task(name="a"):
    return Task(OUT / f"{name}.wav", Path(f"{name}.npy"))


def finish(name="a", world=SINGLE_PROCESS, settings=SETTINGS, count=1):
    """Make a source, its audio and their entries; return the task."""
    task = make_task(name)
    if not task.source.exists():
        np.save(task.source, tiny_mel().numpy())
    with Manifest(OUT, settings, world) as manifest:
        for index in range(count):
            task.output_path(index, count).write_bytes(
                f"{name}{index}".encode(errors="replace") * 10
            )
            manifest.add(task, task.source.stat(), index, count, INFO)
    return task


def entries(task, settings=SETTINGS, world=SINGLE_PROCESS):
    with Manifest(OUT, settings, world) as manifest:
        return manifest.done_entries(task)


def test_an_entry_describes_its_files():
    task = finish()
    (entry,) = entries(task)
    assert (entry.target, entry.output, entry.index, entry.count) == ("a.wav", "a.wav", 0, 1)
    assert entry.info == {"n_frames": 3, "mel_error_db": None}
    assert entry.output_stamp.size == len("a0" * 10)
    assert entry.input == os.path.abspath("a.npy")
    header, line = Path("out/manifest-0.jsonl").read_text().splitlines()
    assert json.loads(header)["setting_values"] == SETTINGS
    assert json.loads(line)["output_stamp"]["sha256"] == entry.output_stamp.sha256
    assert entries(make_task("b")) == []


def test_entries_are_those_of_earlier_runs():
    task, new = finish(), make_task("b")
    np.save(new.source, tiny_mel().numpy())
    with Manifest(OUT, SETTINGS) as manifest:
        new.target.write_bytes(b"new")
        manifest.add(new, new.source.stat(), 0, 1, INFO)
        for _ in range(2):
            assert len(manifest.done_entries(task)) == 1
            assert manifest.done_entries(new) == []
    assert len(entries(new)) == 1


def change_source(task):
    np.save(task.source, tiny_mel(seed=1).numpy())


def change_source_size(task):
    np.save(task.source, tiny_mel(0.3).numpy())


def damage(task):
    task.target.write_bytes(b"x" * task.target.stat().st_size)


def truncate(task):
    os.truncate(task.target, 3)


def remove(task):
    task.target.unlink()


@pytest.mark.parametrize("change", [change_source, change_source_size, damage, truncate, remove])
def test_changed_files_are_made_again(change):
    task = finish()
    change(task)
    assert entries(task) == []


def touch(task):
    os.utime(task.source)
    os.utime(task.target)


def copy_folder(task):
    shutil.copytree("out", "copy")
    shutil.rmtree("out")
    shutil.move("copy", "out")


@pytest.mark.parametrize("change", [touch, copy_folder])
def test_files_with_the_same_content_are_unchanged(change):
    task = finish()
    change(task)
    assert len(entries(task)) == 1


def test_a_source_at_another_path_must_have_the_same_content():
    finish()
    status = Path("a.npy").stat()
    Path("other").mkdir()
    for seed, same in ((0, True), (1, False)):
        np.save("other/a.npy", tiny_mel(seed=seed).numpy())
        os.utime("other/a.npy", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert bool(entries(Task(OUT / "a.wav", Path("other/a.npy")))) == same


def test_all_settings_that_matter_are_compared():
    def settings(inverter, version="1", subtype="PCM_16"):
        return inversion_settings(inverter, version=version, subtype=subtype)

    base = MelInverter(TINY, n_iter=2)
    others = [
        MelInverter(TINY, n_iter=3),
        MelInverter(TINY, n_iter=2, seed=1),
        MelInverter(TINY, "pinv", n_iter=2),
        MelInverter(TINY, phase="raar", n_iter=2),
        MelInverter(TINY, n_iter=2, momentum=0.9),
        MelInverter(TINY, n_iter=2, tolerance=0.1),
        MelInverter(TINY.replace(f_min=10), n_iter=2),
        MelInverter(TINY, n_iter=2, init="zero"),
    ]
    different = [settings(base, version="2"), settings(base, subtype="FLOAT")]
    different += map(settings, others)
    task = finish(settings=settings(base))
    assert entries(task, settings(MelInverter(TINY, n_iter=2)))
    assert not any(entries(task, each) for each in different)


def test_the_entry_of_the_existing_file_counts():
    other = {**SETTINGS, "inverter": "pinv"}
    task = finish()
    task.target.unlink()
    with Manifest(OUT, other) as manifest:
        task.target.write_bytes(b"another")
        manifest.add(task, task.source.stat(), 0, 1, INFO)
    assert entries(task) == []
    assert len(entries(task, other)) == 1


def test_each_mel_of_a_source_is_done_on_its_own():
    task = finish(count=3)
    assert [entry.output for entry in entries(task)] == ["a_0.wav", "a_1.wav", "a_2.wav"]
    (OUT / "a_1.wav").unlink()
    assert [entry.output for entry in entries(task)] == ["a_0.wav", "a_2.wav"]


@pytest.mark.parametrize(
    "end", [b'{"target": "b.wa', b"\x00" * 40, b'{"target": 1}\n', b"[1]\n", b"\xff\xfe\n", b"\n\n"]
)
def test_a_broken_line_does_not_affect_others(end):
    finish()
    with Path("out/manifest-0.jsonl").open("ab") as stream:
        stream.write(end)
    assert len(entries(make_task())) == 1
    finish("c")
    assert len(entries(make_task())) == len(entries(make_task("c"))) == 1


def test_manifests_of_all_ranks_are_read():
    finish("a", World(0, 3))
    finish("b", World(2, 3))
    assert all(entries(make_task(name), world=World(1, 2)) for name in "ab")


def test_only_one_process_may_open_the_manifest_of_a_rank():
    second = Manifest(OUT, SETTINGS)
    with (
        Manifest(OUT, SETTINGS),
        Manifest(OUT, SETTINGS, World(1, 2)),
        pytest.raises(FileError, match="in use by another process"),
    ):
        second.__enter__()
    with second:
        pass


def test_a_folder_that_cannot_be_written():
    Path("out").write_text("a file")
    with pytest.raises(FileError, match="cannot be written"), Manifest(OUT, SETTINGS):
        pass


def test_names_of_any_language():
    task = finish("mél ü 音")
    assert len(entries(task)) == 1


@pytest.fixture
def unix():
    if os.name == "nt":
        pytest.skip("pipes, links and sparse files of Unix")


@pytest.mark.usefixtures("unix")
@pytest.mark.parametrize("rank", [0, 7])
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_only_plain_files_are_read(rank, kind):
    finish("a")
    Path("out/manifest-0.jsonl").rename("elsewhere")
    path = OUT / f"manifest-{rank}.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "../elsewhere")
    if rank == 0 and kind == "pipe":
        with pytest.raises(FileError, match=r"manifest-0.jsonl is not a plain file"):
            entries(make_task("a"))
    else:
        assert entries(make_task("a")) == []


@pytest.mark.usefixtures("unix")
@pytest.mark.parametrize("name", ["manifest-0.jsonl", "manifest-5.jsonl"])
def test_a_sparse_manifest_takes_neither_memory_nor_time(name):
    task = finish()
    manifest, path = OUT / "manifest-0.jsonl", OUT / name
    content = manifest.read_bytes()
    manifest.unlink()
    with path.open("wb") as stream:
        stream.truncate(2**40)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n" + content)
    start = time.process_time()
    assert len(entries(task)) == 1
    assert time.process_time() - start < 5


@pytest.mark.usefixtures("unix")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_output_or_source_that_is_no_plain_file_does_not_match(kind):
    task = finish()
    for path in (task.target, task.source):
        lines = (OUT / "manifest-0.jsonl").read_text().splitlines()
        values = next(each for each in map(json.loads, lines) if "target" in each)
        stamp = "output_stamp" if path == task.target else "input_stamp"
        values[stamp]["size"] = 0
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
        (OUT / "manifest-0.jsonl").write_text(json.dumps(values) + "\n")
        assert entries(task) == []
        path.unlink()
        path.write_bytes(content)


def test_an_unreadable_manifest_is_named(monkeypatch):
    finish("a", World(0, 2))
    finish("b", World(1, 2))
    original = os.open

    def refuse(path, *arguments, **options):
        if os.path.basename(path) == "manifest-1.jsonl":
            raise PermissionError(13, os.strerror(13), path)
        return original(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileError, match=r"manifest-1.jsonl cannot be read: Permission denied"):
        entries(make_task())


def test_a_full_disk_ends_the_line_that_it_cut(monkeypatch):
    task, write = finish(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:19]))
    with pytest.raises(DiskError, match=r"manifest-0.jsonl cannot be written: No space left"):
        finish("b")
    with Manifest(OUT, SETTINGS) as manifest:
        with pytest.raises(DiskError):
            manifest.add(task, task.source.stat(), 0, 1, INFO)
        monkeypatch.setattr(os, "write", write)
        manifest.add(task, task.source.stat(), 0, 1, INFO)
    assert len(entries(task)) == 1
    lines = (OUT / "manifest-0.jsonl").read_bytes().splitlines()
    assert lines[-2] == b'{"target": "a.wav"'
    json.loads(lines[-1])


def test_outputs_of_other_sources_are_listed():
    finish("a")
    finish("b", count=2)
    finish("../outside")
    with Manifest(OUT, SETTINGS) as manifest:
        assert manifest.other_outputs([make_task("a")]) == ["b_0.wav", "b_1.wav"]


@pytest.mark.skipif(os.name == "nt", reason="names of Unix")
def test_names_that_are_not_utf8():
    task = finish("a\udcff\udc80")
    assert len(entries(task)) == 1


def test_a_source_of_many_mels_is_hashed_once(monkeypatch):
    hashed = []

    def count(path):
        hashed.append(path)
        return "0" * 64

    monkeypatch.setattr("torchmelinv.corpus.checksums.sha256_of", count)
    task = finish(count=50)
    assert hashed == [task.source]
    os.utime(task.source)
    assert len(entries(task)) == 50
    assert hashed == [task.source] * 2
