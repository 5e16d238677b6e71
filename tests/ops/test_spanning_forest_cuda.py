"""The spanning forest's kernels on the host: the reference's forest edge for edge, at every level, whatever runs beside."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import apart
from torchmelinv.ops import spanning_forest, spanning_forest_cuda

FULL = 2 * math.pi


@pytest.fixture
def small(host_kernels, monkeypatch):
    """First parts of about 4 by 4 bins, so that small grids have every level."""
    for name, size in {"MOST_BINS": 18, "WIDTH": 4, "FAN": 2, "TILE_THREADS": 32, "JOIN_THREADS": 64, "BIN_THREADS": 32}.items():
        monkeypatch.setattr(spanning_forest_cuda, name, size)
    return host_kernels


def steps(*shape: int) -> tuple[Tensor, Tensor]:
    """Differences that agree with each other nowhere: another path has other angles."""
    items, rows, columns = shape
    return 9 * torch.randn(items, rows - 1, columns), 9 * torch.randn(items, rows, columns - 1)


def tree_edges(angles: Tensor, weight: Tensor, down: Tensor, right: Tensor) -> list[Tensor]:
    """The differences that angles have between two heard neighbours: True for the forest's edges, as no others agree."""
    there = []
    for dim, step in ((1, down), (2, right)):
        reach = weight.shape[dim] - 1
        heard = (weight.narrow(dim, 0, reach) > 0) & (weight.narrow(dim, 1, reach) > 0)
        error = (angles.double().diff(dim=dim) - step).remainder(FULL)
        there.append(heard & (torch.minimum(error, FULL - error) < 1e-5))
    return there


def assert_the_references(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The same edges, by weights in float32; and angles within 1e-6, two steps of float32 at 2π, as sums are exact."""
    expected = spanning_forest.integrate_angles(weight, down.double(), right.double())
    found = spanning_forest_cuda.integrate_angles(weight, down, right)
    assert (found.dtype, found.shape) == (weight.dtype, weight.shape)
    assert ((found >= 0) & (found <= torch.tensor(FULL))).all()
    assert apart(found, expected) < 1e-6
    for one, other in zip(*(tree_edges(each, weight, down, right) for each in (found, expected)), strict=True):
        assert torch.equal(one, other)
    return found


@needs_compiler
@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (13, 17), (1, 40), (50, 1), (1, 1)])
def test_the_references_forest(small, rows, columns):
    weight = torch.rand(3, rows, columns) ** 3 + 1e-4
    weight[1][torch.rand(rows, columns) < 0.4] = 0  # several trees, some of one bin
    weight[2] = 0
    down, right = steps(3, rows, columns)
    found = assert_the_references(weight, down, right)
    assert len(small.launched) == len(spanning_forest_cuda._levels(rows, columns)) + 1
    for seed in (0, 5):
        small.seed = seed
        assert torch.equal(found, spanning_forest_cuda.integrate_angles(weight, down, right))
    for item in range(3):
        one = (each[item : item + 1] for each in (weight, down, right))
        assert torch.equal(found[item : item + 1], spanning_forest_cuda.integrate_angles(*one))


@needs_compiler
@pytest.mark.parametrize("kind", ["equal", "few values", "ramp", "snake", "valleys", "checkerboard"])
def test_ties_and_long_chains(small, kind):
    """Where edges weigh the same their number decides; a ramp is one chain, a snake one with many turns."""
    rows, columns = 14, 16
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    weight = {
        "equal": torch.ones(rows, columns),
        "few values": torch.randint(0, 4, (rows, columns)) / 3,
        "ramp": (row * columns + column + 1) / (rows * columns),
        "snake": torch.where(
            (row % 2 == 0) | (column == torch.where(row % 4 == 1, columns - 1, 0)),
            (row * columns + torch.where(row % 4 == 2, columns - 1 - column, column) + 1) / (rows * columns),
            0,
        ),
        "valleys": 0.1 + 0.9 * (row % 5 == 0).float() * (column % 7 != 3),
        "checkerboard": ((row + column) % 2).float(),  # no edge at all
    }[kind]
    assert_the_references(weight[None], *steps(1, rows, columns))


@needs_compiler
def test_quiet_trees_and_loud_ones_of_equals(small):
    """Weights as quiet as their cubes allow; the loudest bin of a tree, the first of them, has 0."""
    weight = torch.rand(2, 9, 11) * 1e-12 + 1e-12
    weight[1] = 0.25
    found = assert_the_references(weight, *steps(2, 9, 11))
    assert found[1, 0, 0] == 0
    assert found[0].flatten()[weight[0].argmax()] == 0


@needs_compiler
def test_what_is_no_number_stays_in_its_item(small):
    weight, (down, right) = torch.rand(2, 9, 11), steps(2, 9, 11)
    expected = spanning_forest_cuda.integrate_angles(weight, down, right)[1]
    down[0, 3], right[0, :, 2] = math.nan, math.inf
    assert torch.equal(spanning_forest_cuda.integrate_angles(weight, down, right)[1], expected)


@needs_compiler
def test_the_usual_sizes(host_kernels):
    """As on a device: two levels of a grid of 40 × 65, and angles that many bins have summed up."""
    weight = torch.rand(1, 40, 65) ** 2 + 1e-3
    assert_the_references(weight, *steps(1, 40, 65))
    assert host_kernels.launched == ["tile_forests", "join_forests", "angles_of_bins"]


def test_levels_cover_every_grid():
    for rows, columns in ((862, 513), (1, 1), (51_700, 513), (1, 5000), (5000, 1), (37, 4097), (2**14, 2**14)):
        levels = spanning_forest_cuda._levels(rows, columns)
        assert levels[-1].parts == 1
        assert (levels[-1].height, levels[-1].width) == (rows, columns)
        assert len(levels) <= 6
        assert levels[0].height * levels[0].width <= spanning_forest_cuda.MOST_BINS
        assert levels[-1].end <= max(0.25 * rows * columns, 2048 + 16 * (rows + columns))
        for one, larger in pairwise(levels):
            assert larger.first == one.end
            assert -(-larger.height // one.height) * -(-larger.width // one.width) <= 16


def test_grids_that_are_too_large():
    assert "2³⁰" in spanning_forest_cuda.why_not(torch.empty(0, 2**15, 2**15))
    assert spanning_forest_cuda.why_not(torch.empty(0, 2**15, 2**14)) is None


@needs_nvrtc
def test_they_compile_for_a_device_without_spills():
    assert all(registers_without_spills(kernel) <= 64 for kernel in spanning_forest_cuda.kernels())


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(1, 862, 513), (5, 200, 1025), (3, 4000, 65)])
def test_on_a_device(shape):
    weight, (down, right) = torch.rand(shape) ** 3, steps(*shape)
    weight[:, 50:60] = 0
    expected = spanning_forest.integrate_angles(weight, down.double(), right.double())
    given = [each.cuda() for each in (weight, down, right)]
    found = spanning_forest_cuda.integrate_angles(*given)
    assert apart(found.cpu(), expected) < 1e-6
    for _ in range(3):
        assert torch.equal(found, spanning_forest_cuda.integrate_angles(*given))
