"""The choice of a backend: contexts, the environment variable, and errors."""

from __future__ import annotations

import threading
from unittest import mock

import pytest
import torch

import torchmelinv
from torchmelinv.cuda import verdicts
from torchmelinv.cuda.backend import (
    ENVIRONMENT_VARIABLE,
    backend,
    may_use_kernels,
    requested_backend,
    use_kernel,
)
from torchmelinv.errors import InputError
from torchmelinv.functional import magnitude_to_waveform


def test_it_is_exported():
    assert torchmelinv.backend is backend


@pytest.fixture
def verified(monkeypatch):
    """One CUDA device in use, on which the kernel of "a step" is right and faster."""
    monkeypatch.setattr(verdicts, "_device_count", lambda: 1)
    monkeypatch.setattr(verdicts, "_verified_on", lambda _: frozenset({"a step"}))


def test_auto_is_the_reference_without_a_verdict(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert requested_backend() == "auto"
    assert not may_use_kernels()
    assert not use_kernel("a step", lambda: None)


def test_the_innermost_context_wins_then_the_environment(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "cuda")
    assert requested_backend() == "cuda"
    with backend("reference"):
        assert requested_backend() == "reference"
        with backend("auto"):
            assert not use_kernel("a step", lambda: None)
        with backend("cuda"):
            assert use_kernel("a step", lambda: None)
    assert requested_backend() == "cuda"


@pytest.mark.usefixtures("verified")
def test_auto_runs_verified_kernels_where_they_apply():
    assert may_use_kernels()
    assert use_kernel("a step", lambda: None)
    assert not use_kernel("a step", lambda: "some reason")
    assert not use_kernel("another step", lambda: None)
    assert use_kernel("any step", lambda: None, "a step")
    assert not use_kernel("a step", lambda: None, "a step of another kind")


@pytest.mark.usefixtures("verified")
def test_the_reference_ignores_verdicts(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "reference")
    assert not may_use_kernels()
    assert not use_kernel("a step", lambda: pytest.fail("nothing may be asked"))


@pytest.mark.usefixtures("verified")
def test_transformed_and_compiled_operations_are_plain_torch():
    used = []

    def function(x):
        used.append(use_kernel("a step", lambda: None))
        return 2 * x

    torch.func.vmap(function)(torch.ones(2))
    for module, question in ((torch.compiler, "is_compiling"), (torch.jit._trace, "is_tracing")):
        with mock.patch.object(module, question, return_value=True):
            function(torch.ones(2))
    assert used == [False] * 3


def test_an_error_names_the_reason():
    message = r"'cuda' cannot run a step: some reason; or use backend 'auto'"
    with backend("cuda"), pytest.raises(InputError, match=message):
        use_kernel("a step", lambda: "some reason")


def test_an_error_leaves_the_context():
    with pytest.raises(ZeroDivisionError), backend("cuda"):
        1 / 0  # noqa: B018
    assert requested_backend() == "auto"


@pytest.mark.parametrize("wrong", ["CUDA", "gpu", None, 1])
def test_invalid_names(wrong):
    with pytest.raises(InputError, match="one of 'auto', 'reference', 'cuda'"), backend(wrong):
        pass


def test_an_invalid_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "fast")
    with pytest.raises(InputError, match=f"{ENVIRONMENT_VARIABLE} is 'fast'"):
        requested_backend()


def test_other_threads_do_not_see_the_context():
    names = []
    with backend("cuda"):
        thread = threading.Thread(target=lambda: names.append(requested_backend()))
        thread.start()
        thread.join()
    assert names == ["auto"]


def test_cpu_tensors_are_refused_with_the_reason():
    magnitude = torch.ones(33, 5)
    convention = torchmelinv.STFTConvention(n_fft=64, hop_length=16)
    message = "a phase iteration: the tensors are on cpu"
    with backend("cuda"), pytest.raises(InputError, match=message):
        magnitude_to_waveform(magnitude, convention, "griffin_lim", init="zero")
