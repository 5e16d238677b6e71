"""Helpers for traced graphs and for `torch.func`."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, jvp, vmap

from torchmelinv._utils.tracing import (
    apply_function,
    is_mapped,
    is_traced,
    passes_gradient,
    refuse_jvp,
    refuse_transforms,
    with_own_code,
)
from torchmelinv.errors import InputError


def test_fake_and_compiled_tensors_are_traced():
    x = torch.ones(2)
    assert not is_traced(x)
    with FakeTensorMode() as mode:
        assert is_traced(mode.from_tensor(x))
    compiled = torch.compile(lambda x: x + is_traced(x), backend="eager", fullgraph=True)
    assert compiled(x).tolist() == [2, 2]


def test_wrappers_have_code_of_their_own():
    def decorate(function):
        def wrapper():
            return function()

        return with_own_code(wrapper, function)

    first, second = decorate(lambda: 1), decorate(lambda: 2)
    assert (first(), second()) == (1, 2)
    assert first.__code__ is not second.__code__


def test_gradients_are_seen_below_other_transforms():
    seen = []

    def look(x):
        seen.append(passes_gradient(x))
        return x.sum()

    x = torch.ones(3, 2)
    look(x)
    vmap(look)(x)
    vmap(look)(x.clone().requires_grad_())
    grad(lambda x: vmap(look)(x).sum())(x)
    assert seen == [False, False, True, True]


def test_mapped_tensors_are_seen_below_other_transforms():
    seen = []

    def look(x):
        seen.append(is_mapped(x))
        return x.sum()

    x = torch.ones(3, 2)
    look(x)
    grad(look)(x)
    vmap(look)(x)
    vmap(grad(look))(x)
    assert seen == [False, False, True, True]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_refusals():
    x = torch.ones(2)
    refuse_jvp("it")
    refuse_transforms("it", "leave it")
    with pytest.raises(InputError, match="jvp of it is not supported"):
        jvp(lambda x: (refuse_jvp("it"), x)[1], (x,), (x,))
    with pytest.raises(InputError, match="of it are not supported; leave it"):
        vmap(lambda x: (refuse_transforms("it", "leave it"), x)[1])(x)


def test_functions_are_applied_where_a_derivative_is_needed():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return 2 * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return 5 * g  # not its derivative, to tell it from autograd

    x = torch.ones((), requires_grad=True)
    apply_function(Double, x).backward()
    assert float(x.grad) == 5
    assert float(grad(lambda y: apply_function(Double, y))(x.detach())) == 5
    with torch.no_grad():
        assert apply_function(Double, x).grad_fn is None
