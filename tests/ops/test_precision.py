"""How to compute: autocast off inside, tables that last, first derivatives alone."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.ops.precision import first_order, full_precision, lasting


def test_autocast_is_off_inside():
    matrix = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        assert full_precision(torch.matmul)(matrix, other=matrix).dtype == torch.float32


def test_what_lasts_is_no_inference_tensor():
    with torch.inference_mode():
        assert not lasting(torch.ones)(3).is_inference()
        assert torch.ones(3).is_inference()


def test_hand_written_backwards_run_once_and_outside_autocast():
    backward = first_order(lambda ctx, grad: grad @ grad)
    matrix = torch.rand(3, 3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert backward(None, matrix).dtype == torch.float32
    with pytest.raises(InputError, match="no second derivative"):
        backward(None, matrix)
