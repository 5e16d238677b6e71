"""A disk of 256 kB, where mounting one is allowed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def mount(folder: Path, size: int = 256) -> bool:
    """Mount an empty disk of so many kB on a folder; return whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def full_disk(tmp_path):
    """Return a folder that holds 256 kB."""
    folder = tmp_path / "full"
    folder.mkdir()
    if not mount(folder):
        pytest.skip("mounting is not allowed")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)
