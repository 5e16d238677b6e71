"""Where control flow may depend on values."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from torchmelinv._utils.control_flow import fixed_control_flow, may_depend_on_values


def test_values_of_plain_cpu_tensors_may_be_read() -> None:
    assert may_depend_on_values(torch.zeros(1))
    assert may_depend_on_values(nn.Parameter(torch.zeros(1)))
    with torch.inference_mode():
        assert may_depend_on_values(torch.zeros(1))


def test_fixed_control_flow_ends_with_its_block() -> None:
    with fixed_control_flow():
        assert not may_depend_on_values(torch.zeros(1))
    assert may_depend_on_values(torch.zeros(1))


def test_not_where_values_do_not_exist() -> None:
    assert not may_depend_on_values(torch.zeros(1, device="meta"))
    with FakeTensorMode():
        assert not may_depend_on_values(torch.zeros(1))


def test_not_under_function_transforms() -> None:
    seen = []

    def look(x: Tensor) -> Tensor:
        seen.append(may_depend_on_values(x))
        return x.sum()

    torch.func.vmap(look)(torch.zeros(2, 2))
    torch.func.grad(look)(torch.zeros(2))
    assert seen == [False, False]


def test_not_in_compiled_graphs() -> None:
    def look(x: Tensor) -> Tensor:
        return x + 1 if may_depend_on_values(x) else x - 1

    compiled = torch.compile(look, backend="eager", fullgraph=True)
    assert compiled(torch.zeros(1)) == -1
    assert look(torch.zeros(1)) == 1
