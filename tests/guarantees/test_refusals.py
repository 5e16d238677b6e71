"""Invalid inputs of functions and metrics raise one of our errors, which are ValueErrors."""

from __future__ import annotations

import inspect

import pytest
import torch

from tests.tiny import TINY
from torchmelinv import functional, metrics
from torchmelinv.conventions import MfccConvention
from torchmelinv.errors import ConventionError, InputError

FUNCTIONS = {
    name: getattr(module, name)
    for module in (functional, metrics)
    for name in module.__all__
    if inspect.isfunction(getattr(module, name))
}
INVALID = ["nonsense", None, [[1.0]], torch.zeros(8, 5, dtype=torch.complex64)]


@pytest.mark.parametrize("invalid", INVALID, ids=["str", "None", "list", "complex"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_invalid_tensors(name, invalid):
    function = FUNCTIONS[name]
    convention = MfccConvention(mel=TINY, n_mfcc=5) if "mfcc" in name else TINY
    others = {"convention": convention, "sample_rate": 8000}
    parameters = inspect.signature(function).parameters.values()
    required = [each.name for each in parameters if each.default is each.empty]
    arguments = {each: others.get(each, torch.rand(8, 5)) for each in required}
    # The first argument of gradient_norm is a function.
    arguments[required[name == "gradient_norm"]] = invalid
    with pytest.raises((InputError, ConventionError)):
        function(**arguments)


def test_our_errors_are_value_errors():
    assert issubclass(InputError, ValueError)
    assert issubclass(ConventionError, ValueError)
