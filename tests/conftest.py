"""The bench that every test stands on: few threads, fixed seeds, no reading of memory that nobody wrote."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.host_cuda import host_kernels as host_kernels  # a fixture for all


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)  # the tensors are tiny, and waiting for a second thread costs more than it does
    # `torch.empty` then holds NaN, so that a value which is used before it is written shows itself
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())  # some have no such form on CUDA devices
    torch.utils.deterministic.fill_uninitialized_memory = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _seeds() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
