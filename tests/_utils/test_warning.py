"""A warning names the first line outside the package and torch."""

from __future__ import annotations

import pytest
import torch

from torchmelinv._utils.warning import warn_caller


class OddWarning(UserWarning):
    pass


def test_the_line_of_the_caller_is_named():
    with pytest.warns(OddWarning, match="odd") as caught:
        warn_caller("odd", OddWarning)
    assert caught[0].filename == __file__


def test_frames_of_torch_are_skipped():
    class Module(torch.nn.Module):
        forward = staticmethod(warn_caller)

    with pytest.warns(UserWarning, match="odd") as caught:
        Module()("odd")
    assert caught[0].filename == __file__
