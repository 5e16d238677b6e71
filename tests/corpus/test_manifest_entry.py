"""Lines of a manifest: what is written is read back, and invalid lines are ignored."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from torchmelinv.corpus.manifest_entry import FileStamp, ManifestEntry, read_target

STAMP = FileStamp(3, 5, "ab")
ENTRY = ManifestEntry(
    target="a.wav",
    output="a_1.wav",
    output_stamp=STAMP,
    input="/x/a.npy",
    input_stamp=STAMP,
    settings="0123",
    index=1,
    count=2,
    info={"n_frames": 4},
)


def line(**changes):
    return json.dumps({**dataclasses.asdict(ENTRY), **changes}).encode()


def test_an_entry_is_read_back():
    assert ManifestEntry.from_line(line()) == ENTRY


def test_an_entry_after_a_line_that_was_cut():
    cuts = [b'{"target": "b', b'{"target": "b.wav", "info": {', b'{"target": "b\\', b"\xff"]
    for cut in (*cuts, line()[:-1], line(target="b.wav")):
        assert ManifestEntry.from_line(cut + line()) == ENTRY
        assert read_target(cut + line()) == "a.wav"


def test_wherever_a_line_was_cut():
    for end in range(1, len(line())):
        for cut in (line()[:end], line() + line()[:end]):
            assert ManifestEntry.from_line(cut) is None
        assert ManifestEntry.from_line(line(target="b.wav", index=0)[:end] + line()) == ENTRY


def test_a_name_that_is_not_utf8():
    target = "a\udcff.wav"
    content = json.dumps({**dataclasses.asdict(ENTRY), "target": target}, ensure_ascii=False)
    entry = ManifestEntry.from_line(content.encode(errors="surrogateescape"))
    assert entry == dataclasses.replace(ENTRY, target=target)
    assert read_target(content.encode(errors="surrogateescape")) == target


def test_targets_are_read_from_lines_in_any_order_of_the_fields():
    values = json.loads(line())
    turned = json.dumps(dict(reversed(values.items())), indent=1).encode()
    assert read_target(turned) == "a.wav"
    for damaged in (b"", b"{}", turned[:-1], b'{"target": "a', b'{"target": 3}', b"[" * 10**5):
        assert read_target(damaged) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 2},
        {"index": -1},
        {"index": True},
        {"count": 1.5},
        {"count": 2**60},
        {"output": None},
        {"info": []},
        {"more": 1},
        {"input_stamp": None},
        {"output_stamp": {"size": 3, "time": "5", "sha256": "ab"}},
        {"output_stamp": {"size": 3, "time": 5}},
    ],
)
def test_invalid_values_are_ignored(changes):
    assert ManifestEntry.from_line(line(**changes)) is None


def test_repeated_keys_are_ignored():
    for key in (b'"count": 2', b'"n_frames": 4'):
        assert ManifestEntry.from_line(line().replace(key, key + b", " + key)) is None


def test_a_stamp_matches_the_same_time_or_the_same_content(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    stamp = FileStamp.from_file(path)
    assert stamp.matches(path)
    os.utime(path, ns=(0, 0))
    assert stamp.matches(path)
    path.write_bytes(b"abd")
    os.utime(path, ns=(stamp.time, stamp.time))
    assert stamp.matches(path)  # the time is trusted
    assert not stamp.matches(path, ignore_time=True)
    path.unlink()
    assert not stamp.matches(path)
