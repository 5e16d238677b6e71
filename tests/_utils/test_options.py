"""Misspelled keyword arguments raise an error that names the nearest option."""

from __future__ import annotations

import pytest

from torchmelinv._utils.options import named_options
from torchmelinv.errors import InputError


@named_options
def invert(mel, n_iter=32, *, seed=0):
    return mel, n_iter, seed


class Inverter:
    @named_options
    def __init__(self, n_iter=32):
        self.n_iter = n_iter


def test_valid_calls_pass():
    assert invert(1, 2, seed=3) == (1, 2, 3)
    assert Inverter(n_iter=4).n_iter == 4
    assert invert.__name__ == "invert"


def test_a_misspelled_option_names_the_nearest():
    with pytest.raises(InputError, match="invert has no option 'n_iters'; did you mean 'n_iter'"):
        invert(1, n_iters=2)
    with pytest.raises(InputError, match=r"Inverter has no option 'n_it'; did you mean 'n_iter'"):
        Inverter(n_it=2)


def test_an_unknown_option_lists_all():
    with pytest.raises(InputError, match="no option 'x'; it takes mel, n_iter, seed"):
        invert(1, x=2)
