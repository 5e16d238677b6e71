"""Which form of an operation runs: what was asked for, by whom, and what is said where it cannot be had."""

from __future__ import annotations

import pytest
import torch

from torchmelinv import backend as front_door
from torchmelinv.errors import InputError
from torchmelinv.ops.backend import VARIABLE, backend, by_kernel, chosen


def test_it_stands_at_the_front_door():
    assert front_door is backend


def test_auto_is_the_reference_until_kernels_were_measured(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen() == "reference"
    assert not by_kernel("it", lambda: None)


def test_the_innermost_context_counts_then_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cuda")
    assert chosen() == "cuda"
    with backend("reference"):
        assert chosen() == "reference"
        with backend("auto"):
            assert chosen() == "reference"
        with backend("cuda"):
            assert by_kernel("it", lambda: None)
    assert chosen() == "cuda"


def test_a_refusal_says_why():
    with backend("cuda"), pytest.raises(InputError, match=r"'cuda' cannot run a step: it rains; or use backend 'auto'"):
        by_kernel("a step", lambda: "it rains")


def test_auto_falls_back_where_it_stands_for_kernels(monkeypatch):
    monkeypatch.setattr("torchmelinv.ops.backend.AUTO", "cuda")
    with backend("auto"):
        assert by_kernel("a step", lambda: None)
        assert not by_kernel("a step", lambda: "it rains")


def test_an_error_leaves_the_context():
    with pytest.raises(ZeroDivisionError), backend("cuda"):
        1 / 0  # noqa: B018
    assert chosen() == "reference"


@pytest.mark.parametrize("wrong", ["CUDA", "gpu", None, 1])
def test_names_that_are_none(wrong):
    with pytest.raises(InputError, match="one of 'auto', 'reference', 'cuda'"), backend(wrong):
        pass


def test_a_wrong_environment_says_its_name(monkeypatch):
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(InputError, match=f"{VARIABLE} is 'fast'"):
        chosen()


def test_threads_do_not_see_each_others_choice():
    import threading

    seen = []
    with backend("cuda"):
        thread = threading.Thread(target=lambda: seen.append(chosen()))
        thread.start()
        thread.join()
    assert seen == ["reference"]


def test_tensors_of_the_processor_are_refused_with_the_reason():
    from torchmelinv.conventions import FrameConvention
    from torchmelinv.functional import griffin_lim

    with backend("cuda"), pytest.raises(InputError, match="a phase iteration: the tensors are on cpu"):
        griffin_lim(torch.ones(33, 5), FrameConvention(n_fft=64, hop_length=16))
