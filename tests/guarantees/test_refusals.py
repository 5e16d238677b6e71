"""What `functional` says of mistakes holds for each of its functions: one error of our own, a ValueError."""

from __future__ import annotations

import inspect

import pytest
import torch

from tests.tiny import TINY
from torchmelinv import functional
from torchmelinv.conventions import MfccConvention
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.invert import MelInverter

FUNCTIONS = {name: value for name, value in vars(functional).items() if inspect.isfunction(value)}
REST = {"frame": TINY, "filterbank": MelFilterbank(TINY), "convention": TINY, "level": TINY.level, "start": "pghi", "n_iter": 1,
        "sample_rate": 8000, "inverter": MelInverter(TINY)}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mistakes(name: str):
    assert "`InputError`" in functional.__doc__
    parameters = [each for each in inspect.signature(FUNCTIONS[name]).parameters.values() if each.kind != each.VAR_KEYWORD]
    rest = {**REST, "convention": MfccConvention(mel=TINY, n_mfcc=5)} if "mfcc" in name else REST
    needed = [each.name for each in parameters if each.default is each.empty]
    first = needed[1] if name == "gradient_norm" else needed[0]
    for wrong in ("nonsense", None, [[1.0]], torch.zeros(8, 5, dtype=torch.complex64)):
        given = {each: wrong if each == first else rest.get(each, torch.rand(8, 5)) for each in needed}
        with pytest.raises((InputError, ConventionError)):
            FUNCTIONS[name](**given)
