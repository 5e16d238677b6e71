"""The base class of this package's modules."""

from __future__ import annotations

from typing import NoReturn

from torch import nn

from torchmelinv._utils.precision import no_torchscript


class Module(nn.Module):
    """A module that refuses `torch.jit.script`, which stops at its first decorator otherwise."""

    def __prepare_scriptable__(self) -> NoReturn:
        raise no_torchscript(type(self).__name__)
