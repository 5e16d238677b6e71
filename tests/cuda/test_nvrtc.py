"""Compilation, cache, arguments and launch of kernels; and the emulation of the tests."""

from __future__ import annotations

import hashlib
import os
import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.host_cuda import needs_compiler, needs_nvrtc
from torchmelinv.cuda import nvrtc
from torchmelinv.cuda.nvrtc import Kernel, launch
from torchmelinv.errors import DependencyError

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
def test_the_emulation_shows_a_missing_barrier(host_kernels, reverse):
    assert run(reverse(""))[1].isnan().any()


@needs_compiler
def test_the_emulation_refuses_a_barrier_that_some_threads_skip(host_kernels, reverse):
    with pytest.raises(RuntimeError, match="breaks a rule"):
        run(reverse("if (t < 32) __syncthreads();"))


@needs_compiler
def test_the_emulation_finds_accesses_beside_a_tensor(host_kernels, reverse):
    kernel, x = reverse("__syncthreads();"), torch.randn(128)
    with pytest.raises(RuntimeError, match=r"writes outside of a tensor of shape \(100,\)"):
        launch(kernel, (2, 1), 64, x, torch.empty(100), 128, 2.0)
    y = torch.empty(132)
    launch(kernel, (2, 1), 64, x[:120], y, 128, 2.0)
    assert y[:128].isnan().sum() == 8


def test_tensors_must_be_contiguous():
    with pytest.raises(ValueError, match="contiguous"):
        nvrtc._pack([torch.zeros(4, 4).mT])


@pytest.fixture
def times(monkeypatch, tmp_path):
    """A function that writes the source of one more kernel; the cache is empty."""
    monkeypatch.setenv("TORCHMELINV_CACHE", str(tmp_path / "cache"))
    texts = dict(nvrtc.sources())
    monkeypatch.setattr(nvrtc, "sources", lambda: texts)

    def write(factor: str) -> Kernel:
        body = f"x[threadIdx.x] *= {factor};"
        kernel = f'extern "C" __global__ void times(float* x) {{ {body} }}'
        texts["times.cu"] = f'#include "device.cuh"\n{kernel}'
        return Kernel("times.cu", "times", (("UNUSED", 1.5),))

    return write


@pytest.fixture
def compiled(monkeypatch):
    """The list of all kernels that are compiled."""
    kernels, compile_kernel = [], nvrtc.compile_kernel

    def compile_and_note(*arguments):
        kernels.append(arguments)
        return compile_kernel(*arguments)

    monkeypatch.setattr(nvrtc, "compile_kernel", compile_and_note)
    return kernels


@needs_nvrtc
def test_kernels_are_cached_by_source_defines_and_architecture(times, compiled, tmp_path):
    first = nvrtc.cached_kernel(times("2.f"), "sm_90")
    assert "0 bytes spill stores" in first.log
    assert nvrtc.cached_kernel(times("2.f"), "sm_90").code == first.code
    assert len(compiled) == 1
    nvrtc.cached_kernel(times("3.f"), "sm_90")
    nvrtc.cached_kernel(times("2.f"), "sm_80")
    nvrtc.cached_kernel(times("2.f")._replace(defines=()), "sm_90")
    assert len(compiled) == 4
    assert len(list((tmp_path / "cache").iterdir())) == 4


@needs_nvrtc
@pytest.mark.parametrize("damage", [b"", b"x", b"x" * 100])
def test_a_damaged_file_is_compiled_again(times, compiled, tmp_path, damage):
    expected = nvrtc.cached_kernel(times("2.f"), "sm_90").code
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(damage)
    assert nvrtc.cached_kernel(times("2.f"), "sm_90").code == expected
    assert nvrtc.cached_kernel(times("2.f"), "sm_90").code == expected
    assert len(compiled) == 2


@needs_nvrtc
def test_a_cache_that_cannot_be_written_costs_only_time(times, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCHMELINV_CACHE", str(tmp_path / "file" / "below"))
    assert nvrtc.cached_kernel(times("2.f"), "sm_90").code


@needs_nvrtc
@pytest.mark.skipif(os.name == "nt", reason="modes of Unix")
def test_machine_code_that_others_may_have_written_is_not_run(times, compiled, tmp_path):
    expected = nvrtc.cached_kernel(times("2.f"), "sm_90").code
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(hashlib.sha256(b"false").digest() + b"false")
    path.parent.chmod(0o777)
    assert nvrtc.cached_kernel(times("2.f"), "sm_90").code == expected
    path.parent.chmod(0o700)
    path.chmod(0o666)
    for _ in range(2):
        assert nvrtc.cached_kernel(times("2.f"), "sm_90").code == expected
    assert len(compiled) == 3


@needs_nvrtc
def test_the_error_shows_the_message_of_the_compiler(times):
    with pytest.raises(RuntimeError, match=r"times.*does not compile for sm_90(.|\n)*nonsense"):
        nvrtc.compile_kernel(times("nonsense"), "sm_90")


class _FakeDriver:
    """Replace the bindings of the driver: `calls` lists calls, `status` makes them fail."""

    class CUfunction_attribute:
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = "largest shared"

    def __init__(self) -> None:
        self.calls = []
        self.status = 0

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append((name, *arguments))
            return self.status, 7

        return call


@pytest.fixture
def driver(monkeypatch):
    fake = _FakeDriver()
    cubin = lambda kernel, architecture: nvrtc.Cubin(architecture.encode(), "")  # noqa: E731
    monkeypatch.setattr(nvrtc, "_bindings", lambda: (None, fake))
    monkeypatch.setattr(nvrtc, "cached_kernel", cubin)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    stream = type("Stream", (), {"cuda_stream": 5})
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    for cached in (nvrtc._function, nvrtc._module):
        cached.cache_clear()
    yield fake
    for cached in (nvrtc._function, nvrtc._module):
        cached.cache_clear()


def test_a_launch_loads_once_and_requests_its_shared_memory(driver):
    kernel, arguments = Kernel("times.cu", "times"), (torch.zeros(4), 1, None, 2.0)
    for _ in range(2):
        launch(kernel, (3, 2), 64, *arguments, shared_bytes=60_000)
    names = [name for name, *_ in driver.calls]
    assert names.count("cuModuleLoadData") == names.count("cuFuncSetAttribute") == 1
    assert ("cuModuleLoadData", b"sm_90") in driver.calls
    assert ("cuFuncSetAttribute", 7, "largest shared", 60_000) in driver.calls
    (first, _) = (call for call in driver.calls if call[0] == "cuLaunchKernel")
    assert first[1:10] == (7, 3, 2, 1, 64, 1, 1, 60_000, 5)


def test_a_failure_of_the_driver_raises(driver):
    driver.status = 700
    with pytest.raises(RuntimeError, match="failed: 700"):
        launch(Kernel("times.cu", "times"), (1, 1), 64, torch.zeros(4))


def test_the_driver_has_a_version_of_cuda(driver):
    assert nvrtc.driver_version() == 7
    driver.status = 100
    assert nvrtc.driver_version() == 0


def test_cpu_tensors_are_refused():
    assert "on cpu" in nvrtc.unsupported_reason(torch.zeros(1))


def test_the_error_without_the_bindings(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    message = r"cuda-bindings.* `pip install 'cuda-bindings==1\d\.\*'` provides it"
    with pytest.raises(DependencyError, match=message):
        nvrtc._bindings()


def test_tensors_without_values_take_no_kernel(monkeypatch):
    monkeypatch.setattr(nvrtc, "DEVICE", "cpu")
    with FakeTensorMode():
        assert "no values" in nvrtc.unsupported_reason(torch.zeros(1))
