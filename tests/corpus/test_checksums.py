"""Checksums are computed once as long as a file stays the same."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from torchmelinv.corpus import checksums
from torchmelinv.corpus.checksums import Checksums, sha256_of


@pytest.fixture
def hashed(monkeypatch):
    """The paths that have been hashed."""
    paths = []

    def call(path):
        paths.append(path)
        return sha256_of(path)

    monkeypatch.setattr(checksums, "sha256_of", call)
    return paths


def test_a_file_is_hashed_once_by_all_threads(tmp_path, hashed):
    path, known = tmp_path / "x", Checksums()
    path.write_bytes(b"content")
    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(known, [path] * 100))
    assert results == {hashlib.sha256(b"content").hexdigest()}
    assert hashed == [path]


def test_a_changed_file_is_hashed_again(tmp_path, hashed):
    path, known = tmp_path / "x", Checksums()
    for count, content in enumerate((b"content", b"c0ntent", b"longer content"), 1):
        path.write_bytes(content)
        os.utime(path, ns=(count, count))
        assert known(path) == hashlib.sha256(content).hexdigest()
        assert len(hashed) == count


def test_only_some_files_are_remembered(tmp_path, hashed):
    known = Checksums()
    paths = [tmp_path / str(index) for index in range(200)]
    for path in paths:
        path.touch()
        known(path)
    assert len(known._known) <= 64
    known(paths[-1])
    assert len(hashed) == 200
