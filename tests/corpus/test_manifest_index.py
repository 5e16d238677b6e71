"""The index of entries: of any number of manifests, in little memory, parsed when asked for."""

from __future__ import annotations

import dataclasses
import json
import os
import tracemalloc

import pytest

from torchmelinv.corpus import manifest_index
from torchmelinv.corpus.manifest_entry import FileStamp, ManifestEntry
from torchmelinv.corpus.manifest_index import ManifestIndex

SETTINGS = "0123456789abcdef"
STAMP = FileStamp(3, 5, "ab" * 32)


def make_entry(target, index=0, count=1, settings=SETTINGS):
    return ManifestEntry(target, target, STAMP, "/x/a.npy", STAMP, settings, index, count, {})


def write(path, entries):
    lines = [json.dumps(dataclasses.asdict(entry)) + "\n" for entry in entries]
    path.write_text("".join(lines))


@pytest.fixture
def index():
    index = ManifestIndex(SETTINGS)
    yield index
    index.close()


def add(index, path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return sum(1 for _ in index.add(path, descriptor))
    finally:
        os.close(descriptor)


def test_entries_of_many_manifests(index, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_index, "_MOST_OPEN", 2)
    for rank in range(5):
        path = tmp_path / str(rank)
        write(path, [make_entry("all", rank, 5), make_entry(f"{rank}.wav")])
        assert add(index, path) == 2
    for _ in range(2):
        assert [entry.index for entry in index.of_target("all")] == list(range(5))
    assert index.of_target("3.wav") == [make_entry("3.wav")]
    assert index.of_target("5.wav") == []
    others = index.of_other_targets(["all", "0.wav", "3.wav", "9.wav"])
    assert sorted(entry.target for entry in others) == ["1.wav", "2.wav", "4.wav"]
    assert len(index._open) == 2


def test_an_empty_index(index):
    assert index.of_target("a.wav") == list(index.of_other_targets(["a.wav"])) == []


def test_entries_of_other_settings_are_left_out(index, tmp_path):
    misplaced = dataclasses.replace(make_entry("a.wav", settings="b"), input=SETTINGS)
    write(tmp_path / "x", [make_entry("a.wav", settings="c"), misplaced])
    assert add(index, tmp_path / "x") == 2
    assert index.of_target("a.wav") == []


def test_targets_of_the_same_hash(index, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_index, "hash", lambda target: 7, raising=False)
    write(tmp_path / "x", [make_entry("a.wav"), make_entry("b.wav")])
    add(index, tmp_path / "x")
    assert index.of_target("b.wav") == [make_entry("b.wav")]


@pytest.mark.parametrize("change", ["shorter", "other", "gone", "link"])
def test_manifests_that_change_meanwhile(index, tmp_path, change):
    path = tmp_path / "x"
    write(path, [make_entry("a.wav"), make_entry("b.wav")])
    add(index, path)
    if change == "shorter":
        os.truncate(path, 200)
    elif change == "other":
        write(path, [make_entry("longer.wav"), make_entry("b.wav")])
    else:
        path.rename(tmp_path / "y")
    if change == "link":
        path.symlink_to("y")
    assert index.of_target("b.wav") == []


def test_entries_take_little_memory_and_are_parsed_when_asked_for(index, tmp_path, monkeypatch):
    count, parsed, from_line = 5000, [], ManifestEntry.from_line
    write(tmp_path / "x", [make_entry(f"{i}.wav") for i in range(count)])

    def count_and_parse(line):
        parsed.append(line)
        return from_line(line)

    monkeypatch.setattr(ManifestEntry, "from_line", count_and_parse)
    tracemalloc.start()
    add(index, tmp_path / "x")
    assert len(index.of_target("7.wav")) == len(parsed) == 1
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 100 * count
