"""Files of torch.save are checked and loaded from one copy, whatever happens to the file.

Crafted pickles are in `test_safe_pickle.py`, damaged files in `tests/fuzz`.
"""

from __future__ import annotations

import pytest
import torch

from tests.io.changing import read_while_it_changes
from torchmelinv.io.torch_files import read_torch


@pytest.mark.parametrize(
    "change", ["os.truncate(path, 0)", "path.write_bytes(bytes(path.stat().st_size))"]
)
def test_a_file_that_changes_meanwhile(tmp_path, change):
    torch.save({"mel": torch.ones(8, 100_000), "other": torch.zeros(3)}, tmp_path / "x.pt")
    assert read_while_it_changes(tmp_path / "x.pt", change) == "800000.0"


def test_the_result_has_memory_of_its_own(tmp_path):
    torch.save(torch.arange(10_000)[:5], tmp_path / "x.pt")
    mel = read_torch(tmp_path / "x.pt", lambda names, shape: names[0])
    assert mel.untyped_storage().nbytes() == 40
