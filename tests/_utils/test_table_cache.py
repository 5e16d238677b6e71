"""The table cache: one table per owner, dtype and device, for as long as the owner lives."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from tests.pretended_device import pretended_device, recording
from torchmelinv._utils import table_cache
from torchmelinv._utils.table_cache import cached_by_value, cached_table, to_device
from torchmelinv.conventions import STFTConvention
from torchmelinv.transforms import stft_plan


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


@pytest.mark.parametrize("capturing", [False, True])
def test_what_a_cuda_graph_reads_outlives_the_cache(monkeypatch, capturing):
    """A graph of the caller reads the memory at every replay."""
    monkeypatch.setattr(table_cache, "_in_graphs", {})
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)

    @cached_by_value(maxsize=1)
    def table(value, device):
        return torch.full((3,), value, device=device)

    with pretended_device() as device:
        convention, like = STFTConvention(n_fft=64, hop_length=16), torch.float32
        with monkeypatch.context() as context:
            context.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
            read = [table(1.0, device), stft_plan.stft_plan(convention, 9, 128, like, device)]
        alive = [weakref.ref(each) for each in read]
        del read
        table(2.0, device)
        stft_plan._last_plans.cache_clear()
        gc.collect()
        assert [each() is not None for each in alive] == [capturing] * 2
        table(3.0, torch.device("cpu"))
    assert len(table_cache._in_graphs) == 2 * capturing
