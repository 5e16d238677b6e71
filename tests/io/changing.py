"""Files that another program changes while they are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.shared import ROOT

_CODE = """
import os, sys
from torchmelinv.io import mels
choose = mels.choose_mel
def changing(path, key):
    def call(*arguments):
        {change}
        return choose(path, key)(*arguments)
    return call
mels.choose_mel = changing
try:
    print(mels.read_mel(sys.argv[1]).sum().item())
except mels.FileError as error:
    print(error)
"""


def read_while_it_changes(path: Path, change: str) -> str:
    """Read a mel in a new process; return its sum or the error.

    `change` is a statement that runs when the reader has seen the names in the file.
    """
    command = [sys.executable, "-c", _CODE.format(change=change), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done  # -7 if the file was mapped into memory
    return done.stdout.strip()
