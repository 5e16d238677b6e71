"""Checks of arguments: each error states the argument's name, what came and what is allowed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from torchmelinv._utils.validation import (
    check_features,
    check_lengths,
    check_number,
    check_options,
    check_real,
)
from torchmelinv.errors import InputError

SINGLE, DOUBLE = torch.float32, torch.float64
CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, SINGLE, DOUBLE])
def test_real_dtypes(dtype):
    expected = DOUBLE if dtype == DOUBLE else SINGLE
    assert check_real(torch.ones(2, dtype=dtype), "mel").dtype == expected


NOT_REAL = [torch.ones(2, dtype=torch.int32), torch.ones(2, dtype=torch.complex64), [1.0], None]


@pytest.mark.parametrize(
    "invalid", [*NOT_REAL, torch.eye(2).to_sparse(), torch.ones(2, device="meta")]
)
def test_anything_else_is_an_error_with_the_name(invalid):
    with pytest.raises(InputError, match=r"^mel "):
        check_real(invalid, "mel")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_told_to_be_padded(layout):
    nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=layout)
    with pytest.raises(InputError, match=r"mel is a nested tensor.*give lengths"):
        check_real(nested, "mel")


def test_no_waveform_is_longer_than_a_day():
    check_options(0, 0, 48000 * 3600, None)
    for length in (2**33, 2**62, 2**70):
        with pytest.raises(InputError, match="a waveform has at most 4294967296 samples"):
            check_options(0, 0, length, None)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 0), (0, 3, 4)])
def test_features(shape):
    assert check_features(torch.ones(2, 3, 4), "mel", 3).shape == (2, 3, 4)
    with pytest.raises(InputError, match=r"mel has shape .* \(…, 3, n_frames ≥ 1\)"):
        check_features(torch.ones(shape), "mel", 3)


def test_frames_before_features_look_transposed():
    with pytest.raises(InputError, match=r"mel has shape \(4, 3\); .*it looks transposed"):
        check_features(torch.ones(4, 3), "mel", 3)


@pytest.mark.parametrize(
    "valid", [[3, 9], np.array([3, 9]), torch.tensor([3, 9]).byte(), torch.tensor([3, 9]).short()]
)
def test_lengths_become_int64(valid):
    lengths = check_lengths(valid, torch.Size([2]), 9, CPU)
    assert lengths.dtype == torch.long
    assert lengths.tolist() == [3, 9]


@pytest.mark.parametrize(
    "invalid", [[3.0, 9.0], [3], [0, 9], [3, 10], "ab", [None, 5], torch.tensor([True, False])]
)
def test_invalid_lengths(invalid):
    with pytest.raises(InputError, match="lengths"):
        check_lengths(invalid, torch.Size([2]), 9, CPU)


@pytest.mark.parametrize("invalid", [-0.1, 1.5, math.nan, True, "1", None])
def test_numbers(invalid):
    check_number("beta", 0.5, 0, 1)
    check_number("beta", np.float32(1), 0, 1)
    with pytest.raises(InputError, match=r"beta is .* from 0 to 1 \(0.9 is usual\)"):
        check_number("beta", invalid, 0, 1, hint="0.9 is usual")


@pytest.mark.parametrize("invalid", [-1, math.inf, math.nan])
def test_numbers_without_an_upper_bound(invalid):
    with pytest.raises(InputError, match=r"must be a number ≥ 0$"):
        check_number("alpha", invalid, 0)


# n_iter, seed, length, tolerance
INVALID_OPTIONS = [
    (-1, 0, 5, None),
    (2.5, 0, 5, None),
    (3, 1.5, 5, None),
    (3, None, 5, None),
    (3, 0, 0, None),
    (3, 0, 5, "a"),
    (3, 0, 5, 0),
]


@pytest.mark.parametrize("invalid", INVALID_OPTIONS)
def test_options(invalid):
    check_options(np.int64(3), 0, np.int32(5), 1e-3)
    with pytest.raises(InputError, match="must be"):
        check_options(*invalid)
