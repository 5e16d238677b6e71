"""The table cache: one table per owner, dtype and device, for as long as the owner lives."""

from __future__ import annotations

import gc
import weakref

import torch

from tests.pretended_device import pretended_device, recording
from torchmelinv._utils.table_cache import cached_table, to_device


class Owner:
    """Anything that tables are derived from."""


def test_a_table_is_built_once_per_owner_and_dtype():
    calls = []

    @cached_table
    def table(owner, dtype, device):
        calls.append((owner, dtype, device))
        return torch.ones(3, dtype=dtype, device=device)

    first, second = Owner(), Owner()
    single, double = torch.zeros(1), torch.zeros(1, dtype=torch.float64)
    assert table(first, single) is table(first, single)
    assert table(first, double).dtype == torch.float64
    assert table(second, single) is not table(first, single)
    cpu = torch.device("cpu")
    assert calls == [
        (first, torch.float32, cpu),
        (first, torch.float64, cpu),
        (second, torch.float32, cpu),
    ]


def test_a_table_dies_with_its_owner():
    @cached_table
    def table(owner, dtype, device):
        return torch.ones(3, dtype=dtype, device=device)

    owner = Owner()
    entry = weakref.ref(table(owner, torch.zeros(1)))
    assert entry() is not None
    del owner
    gc.collect()
    assert entry() is None


def test_tables_from_inference_mode_work_with_autograd():
    @cached_table
    def table(owner, dtype, device):
        return torch.ones(3, dtype=dtype, device=device)

    owner = Owner()
    with torch.inference_mode():
        assert not table(owner, torch.zeros(1)).is_inference()


def test_a_small_table_goes_to_a_device_without_a_wait():
    table = torch.arange(3, dtype=torch.float64)
    with pretended_device() as device, recording() as record:
        moved = to_device(table, torch.float32, device)
        assert (moved.device, moved.dtype) == (device, torch.float32)
    assert record.waits == {}
