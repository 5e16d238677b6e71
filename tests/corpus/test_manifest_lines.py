"""Lines of a manifest: of any length in the file, of bounded length in memory."""

from __future__ import annotations

import os

import pytest

from torchmelinv.corpus import manifest_lines
from torchmelinv.corpus.manifest_lines import read_lines


def lines(path, content):
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    os.lseek(descriptor, 3, os.SEEK_SET)
    try:
        pairs = list(read_lines(descriptor))
    finally:
        os.close(descriptor)
    assert all(content[start:].startswith(line) for start, line in pairs)
    assert [start for start, _ in pairs] == sorted({start for start, _ in pairs})
    return [line for _, line in pairs]


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    "content",
    [b"", b"a", b"a\n", b"\n\na\n", b"one\ntwo\n\nthree", b"x" * 40 + b"\nb\n" + b"y" * 33],
)
def test_lines_do_not_depend_on_chunks(tmp_path, monkeypatch, chunk, content):
    monkeypatch.setattr(manifest_lines, "_CHUNK", chunk)
    expected = content.split(b"\n")
    assert lines(tmp_path / "x", content) == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("chunk", [1, 7])
def test_long_lines_are_left_out(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(manifest_lines, "_CHUNK", chunk)
    monkeypatch.setattr(manifest_lines, "_LONGEST", 10)
    content = b"a\n" + b"x" * 30 + b"\nb\nc\n" + b"\0" * 50
    assert lines(tmp_path / "x", content) == [b"a", b"b", b"c"]


def test_lines_after_a_hole_have_their_own_position(tmp_path):
    path = tmp_path / "x"
    with path.open("wb") as stream:
        stream.write(b"a\n")
        stream.truncate(2**30)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nb\nc")
    descriptor = os.open(path, os.O_RDONLY)
    pairs = [(0, b"a"), (2**30 + 1, b"b"), (2**30 + 3, b"c")]
    assert list(read_lines(descriptor)) == pairs
    os.close(descriptor)
