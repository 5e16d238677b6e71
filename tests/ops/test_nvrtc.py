"""The way to a running kernel: compiled, cached, packed; and the emulation that tests kernels without a device."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler
from torchmelinv.ops import nvrtc
from torchmelinv.ops.nvrtc import Kernel, launch

REVERSE = """
#include "device.cuh"
extern "C" __global__ void reverse(const float* x, float* y, int n, float factor) {
    __shared__ float held[64];
    const int t = threadIdx.x, i = blockIdx.x * 64 + t;
    held[t] = i < n ? x[i] : 0.f;
    BARRIER
    if (i < n) y[blockIdx.x * 64 + 63 - t] = factor * held[t];
    float sum = held[63 - t];
    for (int reach = 16; reach; reach /= 2) sum += __shfl_xor_sync(0xffffffff, sum, reach);
    if (t % 32 == 0) y[n + blockIdx.x * 2 + t / 32] = sum;
}
"""


@pytest.fixture
def reverse(tmp_path):
    def make(barrier: str) -> Kernel:
        path = tmp_path / f"reverse{len(barrier)}.cu"
        path.write_text(REVERSE.replace("BARRIER", barrier))
        return Kernel(str(path), "reverse")

    return make


def run(kernel):
    x, y = torch.randn(128), torch.empty(132)
    launch(kernel, (2, 1), 64, x, y, 128, 2.0)
    return x.view(2, 64), y


@needs_compiler
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_emulation_runs_blocks_barriers_and_shuffles(host_kernels, reverse, seed):
    host_kernels.seed = seed
    x, y = run(reverse("__syncthreads();"))
    torch.testing.assert_close(y[:128].view(2, 64), 2 * x.flip(1))
    torch.testing.assert_close(y[128:].view(2, 2), x.view(2, 2, 32).sum(-1).flip(1))


@needs_compiler
def test_the_emulation_sees_a_missing_barrier(host_kernels, reverse):
    assert run(reverse(""))[1].isnan().any()


@needs_compiler
def test_the_emulation_refuses_a_barrier_that_some_threads_skip(host_kernels, reverse):
    with pytest.raises(RuntimeError, match="breaks a rule"):
        run(reverse("if (t < 32) __syncthreads();"))


def test_tensors_must_be_contiguous():
    with pytest.raises(ValueError, match="contiguous"):
        nvrtc._packed([torch.zeros(4, 4).mT])
