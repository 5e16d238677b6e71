"""The spanning forest against Kruskal's algorithm, and on consistent differences."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv.phase.spanning_forest import integrate_angles

F64 = torch.float64


def kruskal(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return one item's angles: each edge, from the heaviest down, joins two trees into one."""
    rows, columns = weight.shape
    edges: list[tuple[float, bool, tuple[int, int], tuple[int, int], float]] = []
    for row in range(rows):
        for column in range(columns):
            for end, table in (((row + 1, column), down), ((row, column + 1), right)):
                if end[0] < rows and end[1] < columns:
                    low, high = sorted((float(weight[row, column]), float(weight[end])))
                    if low > 0:
                        step, fraction = float(table[row, column]), math.frexp(low * low * high)
                        rounded = math.ldexp(math.floor(fraction[0] * 2**12), fraction[1])
                        edges.append((rounded, table is right, (row, column), end, step))
    trees = {(row, column): [(row, column)] for row in range(rows) for column in range(columns)}
    angle = torch.zeros(rows, columns, dtype=F64)
    for *_, start, end, step in sorted(edges, reverse=True):
        if trees[start] is trees[end]:
            continue
        shift = angle[start] + step - angle[end]
        for each in trees[end]:
            angle[each] += shift
        joined = trees[start] + trees[end]
        trees.update(dict.fromkeys(joined, joined))
    for tree in trees.values():
        loudest = max(tree, key=lambda each: float(weight[each]))
        shift = angle[loudest].clone()
        for each in tree:
            angle[each] -= shift
    return angle


def assert_same_angles(result: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    difference = torch.polar(torch.ones_like(result), result - expected)
    torch.testing.assert_close(difference, torch.ones_like(difference), atol=tolerance, rtol=0)


def test_it_is_the_maximum_spanning_forest():
    weight = torch.rand(3, 7, 5, dtype=F64).clamp(min=0.01)
    weight[1][torch.rand(7, 5) < 0.4] = 0  # several trees
    weight[2] = 0
    down, right = 3 * torch.randn(3, 6, 5, dtype=F64), 3 * torch.randn(3, 7, 4, dtype=F64)
    result = integrate_angles(weight, down, right)
    for item in range(3):
        assert_same_angles(result[item], kruskal(weight[item], down[item], right[item]))


def test_consistent_differences_give_their_angles_for_any_weights():
    angle = 4 * torch.randn(2, 30, 17, dtype=F64)
    # With equal weights, all edges weigh the same.
    for weight in (torch.rand_like(angle) + 0.1, torch.ones_like(angle)):
        error = integrate_angles(weight, angle.diff(dim=1), angle.diff(dim=2)) - angle
        assert_same_angles(error - error[:, :1, :1], torch.zeros_like(angle))


def test_a_single_row_and_a_single_bin():
    result = integrate_angles(torch.ones(1, 1, 4), torch.zeros(1, 0, 4), torch.ones(1, 1, 3))
    assert_same_angles(result, torch.arange(4.0)[None, None], 1e-6)
    result = integrate_angles(torch.ones(1, 1, 1), torch.zeros(1, 0, 1), torch.zeros(1, 1, 0))
    assert result.item() == 0


def test_rounding_does_not_order_edges():
    """The edges of a flat magnitude are in the order of their positions."""
    weight = torch.full((1, 9, 6), 0.3)
    down, right = 3 * torch.randn(1, 8, 6), 3 * torch.randn(1, 9, 5)
    expected = integrate_angles(weight, down, right)
    for _ in range(3):
        noisy = weight * (1 + 1e-7 * torch.randn(weight.shape))
        turn = integrate_angles(noisy, down, right) - expected
        # Of equally loud bins, another one may be the root.
        turn = torch.polar(torch.ones_like(turn), turn - turn[:, :1, :1])
        torch.testing.assert_close(turn, torch.ones_like(turn), atol=1e-4, rtol=0)
