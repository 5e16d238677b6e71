"""A rank is idle if it has no manifest, or one that no process has locked."""

from __future__ import annotations

import os

import pytest

from torchmelinv.corpus.locking import idle_rank, lock_file

fcntl = pytest.importorskip("fcntl")


def test_one_process_has_the_lock(tmp_path):
    path = tmp_path / "manifest-0.jsonl"
    with path.open("wb") as first, path.open("ab") as second:
        assert lock_file(first.fileno()) is True
        assert lock_file(second.fileno()) is False
        with idle_rank(path) as idle:
            assert not idle
        first.close()
        with idle_rank(path) as idle:
            assert idle
            assert lock_file(second.fileno()) is False  # the rank cannot start meanwhile
        assert lock_file(second.fileno()) is True


def test_a_rank_without_a_manifest_is_idle(tmp_path):
    with idle_rank(tmp_path / "manifest-1.jsonl") as idle:
        assert idle


def test_a_rank_that_cannot_be_asked_counts_as_at_work(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").touch()
    for name in ("pipe", "link"):
        with idle_rank(tmp_path / name) as idle:
            assert not idle

    def no_locks(*_):
        raise OSError("this file system has no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with idle_rank(tmp_path / "file") as idle:
        assert not idle
