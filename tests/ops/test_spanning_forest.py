"""The spanning forest: Kruskal's, one edge after the other, and what differences that agree with each other must give."""

from __future__ import annotations

import torch

from torchmelinv.ops.spanning_forest import integrate_angles

F64 = torch.float64


def _kruskal(weight: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """One item: the edges from the heaviest down, each joining two trees whose angles then refer to one bin."""
    rows, columns = weight.shape
    edges = []
    for row in range(rows):
        for column in range(columns):
            for there, table in (((row + 1, column), down), ((row, column + 1), right)):
                if there[0] < rows and there[1] < columns:
                    low, high = sorted((float(weight[row, column]), float(weight[there])))
                    if low > 0:
                        edges.append((low * low * high, (row, column), there, float(table[row, column])))
    trees = {(row, column): [(row, column)] for row in range(rows) for column in range(columns)}
    angle = torch.zeros(rows, columns, dtype=F64)
    for _, here, there, step in sorted(edges, reverse=True):
        if trees[here] is trees[there]:
            continue
        shift = angle[here] + step - angle[there]
        for each in trees[there]:
            angle[each] += shift
        joined = trees[here] + trees[there]
        trees.update(dict.fromkeys(joined, joined))
    for tree in trees.values():
        loudest = max(tree, key=lambda each: float(weight[each]))
        shift = angle[loudest].clone()
        for each in tree:
            angle[each] -= shift
    return angle


def _same_angles(result: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-9) -> None:
    turned = torch.polar(torch.ones_like(result), result - expected)
    torch.testing.assert_close(turned, torch.ones_like(turned), atol=tolerance, rtol=0)


def test_is_the_maximum_spanning_forest():
    weight = torch.rand(3, 7, 5, dtype=F64).clamp(min=0.01)
    weight[1][torch.rand(7, 5) < 0.4] = 0  # several trees
    weight[2] = 0
    down, right = 3 * torch.randn(3, 6, 5, dtype=F64), 3 * torch.randn(3, 7, 4, dtype=F64)
    result = integrate_angles(weight, down, right)
    for item in range(3):
        _same_angles(result[item], _kruskal(weight[item], down[item], right[item]))


def test_consistent_differences_give_the_angles_whatever_the_weights():
    angle = 4 * torch.randn(2, 30, 17, dtype=F64)
    for weight in (torch.rand_like(angle) + 0.1, torch.ones_like(angle)):  # all edges may weigh the same
        result = integrate_angles(weight, angle.diff(dim=1), angle.diff(dim=2))
        _same_angles((result - angle - (result - angle)[:, :1, :1]).remainder(2 * torch.pi), torch.zeros_like(angle))


def test_a_single_row_and_a_single_bin():
    result = integrate_angles(torch.ones(1, 1, 4), torch.zeros(1, 0, 4), torch.ones(1, 1, 3))
    _same_angles(result, torch.arange(4.0)[None, None], 1e-6)
    assert integrate_angles(torch.ones(1, 1, 1), torch.zeros(1, 0, 1), torch.zeros(1, 1, 0)).item() == 0
