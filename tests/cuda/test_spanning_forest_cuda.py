"""The spanning forest's kernels in emulation: the forest of the reference, edge for edge."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import apart
from torchmelinv.cuda import spanning_forest_cuda
from torchmelinv.phase import spanning_forest

TWO_PI = 2 * math.pi


@pytest.fixture
def small(host_kernels, monkeypatch):
    """Smallest parts of about 4 by 4 bins, so that small grids have every level."""
    sizes = {
        "MAX_BINS": 18,
        "WIDTH": 4,
        "FAN": 2,
        "TILE_THREADS": 32,
        "JOIN_THREADS": 64,
        "BIN_THREADS": 32,
    }
    for name, size in sizes.items():
        monkeypatch.setattr(spanning_forest_cuda, name, size)
    return host_kernels


def steps(*shape: int) -> tuple[Tensor, Tensor]:
    """Return angle differences that are nowhere consistent: every path gives other angles."""
    items, rows, columns = shape
    return 9 * torch.randn(items, rows - 1, columns), 9 * torch.randn(items, rows, columns - 1)


def tree_edges(angles: Tensor, weight: Tensor, down: Tensor, right: Tensor) -> list[Tensor]:
    """Return where the angles of two nonsilent neighbors have the given difference.

    This is True for the edges of the forest, because no other differences agree.
    """
    edges = []
    for dim, step in ((1, down), (2, right)):
        reach = weight.shape[dim] - 1
        nonsilent = (weight.narrow(dim, 0, reach) > 0) & (weight.narrow(dim, 1, reach) > 0)
        error = (angles.double().diff(dim=dim) - step).remainder(TWO_PI)
        edges.append(nonsilent & (torch.minimum(error, TWO_PI - error) < 1e-5))
    return edges


def assert_same_forest(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Compare with the reference: the same edges, and angles within 1e-6.

    That is two steps of float32 at 2π, because sums are exact.
    """
    expected = spanning_forest.integrate_angles(weight, down.double(), right.double())
    angles = spanning_forest_cuda.integrate_angles(weight, down, right)
    assert (angles.dtype, angles.shape) == (weight.dtype, weight.shape)
    assert ((angles >= 0) & (angles <= torch.tensor(TWO_PI))).all()
    assert apart(angles, expected) < 1e-6
    edges = (tree_edges(each, weight, down, right) for each in (angles, expected))
    assert all(torch.equal(a, b) for a, b in zip(*edges, strict=True))
    return angles


@needs_compiler
@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (13, 17), (1, 40), (50, 1), (1, 1)])
def test_the_forest_is_that_of_the_reference(small, rows, columns):
    weight = torch.rand(3, rows, columns) ** 3 + 1e-4
    weight[1][torch.rand(rows, columns) < 0.4] = 0  # several trees, some of one bin
    weight[2] = 0
    down, right = steps(3, rows, columns)
    angles = assert_same_forest(weight, down, right)
    assert len(small.launched) == len(spanning_forest_cuda._levels(rows, columns)) + 1
    for seed in (0, 5):
        small.seed = seed
        assert torch.equal(angles, spanning_forest_cuda.integrate_angles(weight, down, right))
    for item in range(3):
        inputs = (each[item : item + 1] for each in (weight, down, right))
        alone = spanning_forest_cuda.integrate_angles(*inputs)
        assert torch.equal(angles[item : item + 1], alone)


def _snake(row: Tensor, column: Tensor, rows: int, columns: int) -> Tensor:
    """Return weights that rise along one chain with many turns."""
    on_chain = (row % 2 == 0) | (column == torch.where(row % 4 == 1, columns - 1, 0))
    position = torch.where(row % 4 == 2, columns - 1 - column, column)
    return torch.where(on_chain, (row * columns + position + 1) / (rows * columns), 0)


@needs_compiler
@pytest.mark.parametrize(
    "kind", ["equal", "few values", "ramp", "snake", "valleys", "checkerboard"]
)
def test_ties_and_long_chains(small, kind):
    """Edges of equal weight are ordered by number; a ramp is one chain, a snake has many turns."""
    rows, columns = 14, 16
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    weight = {
        "equal": torch.ones(rows, columns),
        "few values": torch.randint(0, 4, (rows, columns)) / 3,
        "ramp": (row * columns + column + 1) / (rows * columns),
        "snake": _snake(row, column, rows, columns),
        "valleys": 0.1 + 0.9 * (row % 5 == 0).float() * (column % 7 != 3),
        "checkerboard": ((row + column) % 2).float(),  # no edge at all
    }[kind]
    assert_same_forest(weight[None], *steps(1, rows, columns))


@needs_compiler
def test_quiet_trees_and_trees_of_equal_bins(small):
    """Weights near the smallest that their cubes allow; the first loudest bin of a tree has 0."""
    weight = torch.rand(2, 9, 11) * 1e-12 + 1e-12
    weight[1] = 0.25
    angles = assert_same_forest(weight, *steps(2, 9, 11))
    assert angles[1, 0, 0] == 0
    assert angles[0].flatten()[weight[0].argmax()] == 0


@needs_compiler
def test_nan_and_infinity_stay_in_their_item(small):
    weight, (down, right) = torch.rand(2, 9, 11), steps(2, 9, 11)
    expected = spanning_forest_cuda.integrate_angles(weight, down, right)[1]
    down[0, 3], right[0, :, 2] = math.nan, math.inf
    assert torch.equal(spanning_forest_cuda.integrate_angles(weight, down, right)[1], expected)


@needs_compiler
def test_the_usual_sizes(host_kernels):
    """As on a device: two levels of a grid of 40 × 65, and angles that are sums over many bins."""
    weight = torch.rand(1, 40, 65) ** 2 + 1e-3
    assert_same_forest(weight, *steps(1, 40, 65))
    assert host_kernels.launched == ["tile_forests", "join_forests", "angles_of_bins"]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(862, 513), (1, 1), (51_700, 513), (1, 5000), (5000, 1), (37, 4097), (2**14, 2**14)],
)
def test_levels_cover_every_grid(rows, columns):
    levels = spanning_forest_cuda._levels(rows, columns)
    assert levels[-1].parts == 1
    assert (levels[-1].height, levels[-1].width) == (rows, columns)
    assert len(levels) <= 6
    assert levels[0].height * levels[0].width <= spanning_forest_cuda.MAX_BINS
    assert levels[-1].end <= max(0.25 * rows * columns, 2048 + 16 * (rows + columns))
    for smaller, larger in pairwise(levels):
        assert larger.first == smaller.end
        assert -(-larger.height // smaller.height) * -(-larger.width // smaller.width) <= 16


def test_grids_that_are_too_large():
    assert "2³⁰" in spanning_forest_cuda.unsupported_reason(torch.empty(0, 2**15, 2**15))
    assert spanning_forest_cuda.unsupported_reason(torch.empty(0, 2**15, 2**14)) is None


@needs_nvrtc
def test_they_compile_without_spills():
    assert all(registers_without_spills(kernel) <= 64 for kernel in spanning_forest_cuda.kernels())


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(1, 862, 513), (5, 200, 1025), (3, 4000, 65)])
def test_on_a_device(shape):
    weight, (down, right) = torch.rand(shape) ** 3, steps(*shape)
    weight[:, 50:60] = 0
    expected = spanning_forest.integrate_angles(weight, down.double(), right.double())
    inputs = [each.cuda() for each in (weight, down, right)]
    angles = spanning_forest_cuda.integrate_angles(*inputs)
    assert apart(angles.cpu(), expected) < 1e-6
    for _ in range(3):
        assert torch.equal(angles, spanning_forest_cuda.integrate_angles(*inputs))
