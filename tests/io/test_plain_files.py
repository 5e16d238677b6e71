"""Only plain files are opened, and what is read into memory is whole."""

from __future__ import annotations

import os

import pytest

from torchmelinv.errors import FileError
from torchmelinv.io.plain_files import open_descriptor, open_plain, read_content

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and links of Unix")


def test_pipes_devices_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device", "."):
        with pytest.raises(FileError, match="not a plain file"):
            open_plain(tmp_path / name)


def test_links_are_followed_unless_forbidden(tmp_path):
    (tmp_path / "x").write_bytes(b"content")
    (tmp_path / "link").symlink_to("x")
    assert read_content(tmp_path / "link") == b"content"
    with pytest.raises(OSError, match="link"):
        open_descriptor(tmp_path / "link", follow=False)


@pytest.mark.parametrize("size", [3, 12])
def test_a_file_that_changes_is_refused(tmp_path, monkeypatch, size):
    path = tmp_path / "x"
    path.write_bytes(b"content")
    monkeypatch.setattr(
        "torchmelinv.io.plain_files.check_memory", lambda *_: os.truncate(path, size)
    )
    with pytest.raises(FileError, match="changed while it was read"):
        read_content(path)
