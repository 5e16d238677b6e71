"""Dtypes in and out, autocast switched off inside."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.ops.precision import as_real, full_precision

SINGLE, DOUBLE = torch.float32, torch.float64


@pytest.mark.parametrize("came", [torch.float16, torch.bfloat16, SINGLE, DOUBLE])
def test_real_dtypes(came):
    assert as_real(torch.ones(2, dtype=came), "mel").dtype == (DOUBLE if came == DOUBLE else SINGLE)


@pytest.mark.parametrize("wrong", [torch.ones(2, dtype=torch.int32), torch.ones(2, dtype=torch.complex64), [1.0], None])
def test_everything_else_is_refused_by_name(wrong):
    with pytest.raises(InputError, match=r"^mel "):
        as_real(wrong, "mel")


def test_autocast_is_off_inside():
    matrix = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        assert full_precision(torch.matmul)(matrix, other=matrix).dtype == torch.float32
