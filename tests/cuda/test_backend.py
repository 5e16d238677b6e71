"""The choice of a backend: contexts, the environment variable, and errors."""

from __future__ import annotations

import threading

import pytest
import torch

import torchmelinv
from torchmelinv.cuda.backend import (
    ENVIRONMENT_VARIABLE,
    backend,
    resolved_backend,
    use_kernel,
)
from torchmelinv.errors import InputError
from torchmelinv.functional import magnitude_to_waveform


def test_it_is_exported():
    assert torchmelinv.backend is backend


def test_auto_is_the_reference_until_kernels_are_measured(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert resolved_backend() == "reference"
    assert not use_kernel("a step", lambda: None)


def test_the_innermost_context_wins_then_the_environment(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "cuda")
    assert resolved_backend() == "cuda"
    with backend("reference"):
        assert resolved_backend() == "reference"
        with backend("auto"):
            assert resolved_backend() == "reference"
        with backend("cuda"):
            assert use_kernel("a step", lambda: None)
    assert resolved_backend() == "cuda"


def test_an_error_names_the_reason():
    message = r"'cuda' cannot run a step: some reason; or use backend 'auto'"
    with backend("cuda"), pytest.raises(InputError, match=message):
        use_kernel("a step", lambda: "some reason")


def test_auto_falls_back_if_it_selects_the_kernels(monkeypatch):
    monkeypatch.setattr("torchmelinv.cuda.backend.AUTO_BACKEND", "cuda")
    with backend("auto"):
        assert use_kernel("a step", lambda: None)
        assert not use_kernel("a step", lambda: "some reason")


def test_an_error_leaves_the_context():
    with pytest.raises(ZeroDivisionError), backend("cuda"):
        1 / 0  # noqa: B018
    assert resolved_backend() == "reference"


@pytest.mark.parametrize("wrong", ["CUDA", "gpu", None, 1])
def test_invalid_names(wrong):
    with pytest.raises(InputError, match="one of 'auto', 'reference', 'cuda'"), backend(wrong):
        pass


def test_an_invalid_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "fast")
    with pytest.raises(InputError, match=f"{ENVIRONMENT_VARIABLE} is 'fast'"):
        resolved_backend()


def test_other_threads_do_not_see_the_context():
    names = []
    with backend("cuda"):
        thread = threading.Thread(target=lambda: names.append(resolved_backend()))
        thread.start()
        thread.join()
    assert names == ["reference"]


def test_cpu_tensors_are_refused_with_the_reason():
    magnitude = torch.ones(33, 5)
    convention = torchmelinv.STFTConvention(n_fft=64, hop_length=16)
    message = "a phase iteration: the tensors are on cpu"
    with backend("cuda"), pytest.raises(InputError, match=message):
        magnitude_to_waveform(magnitude, convention, "griffin_lim", init="zero")
