"""Every test runs with one thread, fixed seeds, and NaN in uninitialized memory."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from tests.host_cuda import host_kernels as host_kernels  # a fixture for all tests


def pytest_configure(config: pytest.Config) -> None:
    # A job in the background of a shell ignores Ctrl-C, and so would the commands that tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The tensors are tiny: to synchronize a second thread takes longer than it saves.
    torch.set_num_threads(1)
    # Without it cuBLAS warns in deterministic mode, and a warning is an error.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # On CUDA devices some operations have no deterministic implementation.
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # `torch.empty` then holds NaN, so that reading a value before it is written shows.
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
