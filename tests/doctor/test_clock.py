"""How calls are timed, and the contexts around a kernel."""

from __future__ import annotations

import time

import pytest
import torch

from tests.host_cuda import needs_compiler
from torchmelinv.cuda import pairs_cuda
from torchmelinv.cuda.nvrtc import launch
from torchmelinv.doctor.clock import (
    MAX_BLOCKS,
    MIN_BLOCKS,
    UninitializedIsNaN,
    block_times,
    call_seconds,
    captured,
    launched_kernels,
)

CPU = torch.device("cpu")


def test_a_call_is_timed():
    assert 1e-3 <= call_seconds(lambda: time.sleep(1e-3), CPU) < 0.02


def test_blocks_are_long_and_their_number_is_bounded():
    counts = []

    def block(count):
        counts.append(count)
        time.sleep(1e-3)
        return 1e-5 * count

    assert MIN_BLOCKS <= len(block_times(block, 3)) <= MAX_BLOCKS
    assert counts[0] == 3
    assert counts[-1] == 200


def test_on_the_cpu_nothing_is_captured():
    call = lambda: None  # noqa: E731
    assert captured(call, CPU) is call


@needs_compiler
def test_launched_kernels_are_named(host_kernels):
    z = torch.zeros(1, 2, 4, dtype=torch.complex64)
    with launched_kernels() as names:
        launch(pairs_cuda.IMPOSE, (2, 1), 256, z, torch.ones(1, 3, 3), 4, 3)
    assert names == {"impose_pairs"}


def test_uninitialized_memory_is_nan_without_other_algorithms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
    with UninitializedIsNaN():
        like = torch.ones(1)
        complex_ = torch.empty(3, dtype=torch.cfloat)
        for result in (torch.empty(3), torch.empty_like(like), like.new_empty(3), complex_):
            assert result.isnan().all()
        assert torch.equal(torch.ones(3), torch.full((3,), 1.0))
        assert torch.empty(3, dtype=torch.int32).shape == (3,)
