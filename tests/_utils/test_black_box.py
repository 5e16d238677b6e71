"""Operators that hide a computation."""

from __future__ import annotations

import pytest
import torch

from torchmelinv._utils.black_box import define_operator
from torchmelinv.errors import InputError

cube = define_operator(
    "test_cube",
    "Tensor? factor, float power",
    lambda x, factor, power: x**power * (1 if factor is None else factor),
    lambda x, factor, power: x.shape,
)


@pytest.mark.parametrize("factor", [None, torch.tensor([2.0, 3.0])])
def test_values_derivatives_and_checks(factor):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    scale = 1 if factor is None else factor
    result = cube(x, factor, 3.0)
    torch.testing.assert_close(result, scale * x**3)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    torch.testing.assert_close(gradient, scale * 3 * x.detach() ** 2)
    torch.library.opcheck(torch.ops.torchmelinv.test_cube.default, (x, factor, 3.0))
    mapped = torch.func.vmap(torch.func.grad(lambda y: cube(y, None, 3.0)))(x.detach())
    torch.testing.assert_close(mapped, 3 * x.detach() ** 2)


def test_there_is_no_second_derivative():
    first = torch.func.grad(lambda y: cube(y, None, 3.0))
    with pytest.raises(InputError, match="no second derivative"):
        torch.func.grad(first)(torch.tensor(2.0))


def test_a_backward_is_computed_outside_autocast():
    matrix = torch.rand(8, 8)
    product = define_operator(
        "test_product",
        "float factor",
        lambda x, factor: factor * (matrix @ x),
        lambda x, _: x.shape,
    )
    x = torch.rand(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        gradient = torch.func.grad(lambda y: product(y, 1.0).sum())(x)
    torch.testing.assert_close(gradient, matrix.sum(0)[:, None].expand(8, 8))


def test_a_table_is_shared_by_all_items():
    scale = define_operator(
        "test_scale", "Tensor table", lambda x, table: x * table, lambda x, _: x.shape, n_shared=1
    )
    x, table = torch.rand(3, 2), torch.rand(1, 2)
    torch.testing.assert_close(torch.func.vmap(lambda y: scale(y[None], table)[0])(x), x * table)
    with pytest.raises(InputError, match="one table for all items"):
        torch.func.vmap(scale)(x, x)
