"""What arguments must be: each refusal says what came and what is allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.ops.checks import as_lengths, as_real, as_rows, check_options

SINGLE, DOUBLE = torch.float32, torch.float64
CPU = torch.device("cpu")


@pytest.mark.parametrize("came", [torch.float16, torch.bfloat16, SINGLE, DOUBLE])
def test_real_dtypes(came):
    assert as_real(torch.ones(2, dtype=came), "mel").dtype == (DOUBLE if came == DOUBLE else SINGLE)


NUMBERS = [torch.ones(2, dtype=torch.int32), torch.ones(2, dtype=torch.complex64), [1.0], None]


@pytest.mark.parametrize("wrong", [*NUMBERS, torch.eye(2).to_sparse(), torch.ones(2, device="meta")])
def test_everything_else_is_refused_by_name(wrong):
    with pytest.raises(InputError, match=r"^mel "):
        as_real(wrong, "mel")


@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 0), (0, 3, 4)])
def test_rows(shape):
    assert as_rows(torch.ones(2, 3, 4), "mel", 3).shape == (2, 3, 4)
    with pytest.raises(InputError, match=r"mel has shape .* \(…, 3, n_frames ≥ 1\)"):
        as_rows(torch.ones(shape), "mel", 3)


def test_frames_before_rows_are_called_transposed():
    with pytest.raises(InputError, match=r"mel has shape \(4, 3\); .*it looks transposed"):
        as_rows(torch.ones(4, 3), "mel", 3)


@pytest.mark.parametrize("good", [[3, 9], np.array([3, 9]), torch.tensor([3, 9]).byte(), torch.tensor([3, 9]).short()])
def test_lengths_come_as_int64(good):
    lengths = as_lengths(good, torch.Size([2]), 9, CPU)
    assert lengths.dtype == torch.long
    assert lengths.tolist() == [3, 9]


@pytest.mark.parametrize("wrong", [[3.0, 9.0], [3], [0, 9], [3, 10], "ab", [None, 5], torch.tensor([True, False])])
def test_other_lengths_are_refused(wrong):
    with pytest.raises(InputError, match="lengths"):
        as_lengths(wrong, torch.Size([2]), 9, CPU)


OPTIONS = [(-1, 0, 5, None), (2.5, 0, 5, None), (3, 1.5, 5, None), (3, None, 5, None)]
OPTIONS += [(3, 0, 0, None), (3, 0, 5, "a"), (3, 0, 5, 0)]


@pytest.mark.parametrize("wrong", OPTIONS)
def test_options(wrong):
    check_options(np.int64(3), 0, np.int32(5), 1e-3)
    with pytest.raises(InputError, match="must be"):
        check_options(*wrong)
