"""The base class of modules."""

from __future__ import annotations

import pytest
import torch

from torchmelinv._utils.module import Module
from torchmelinv.errors import InputError


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_by_name():
    class Named(Module):
        def forward(self, x):
            return x

    with pytest.raises(InputError, match=r"Named cannot be traced or scripted by torch\.jit"):
        torch.jit.script(Named())
