"""The inversion as an operator: torch's own checks, and the registry of inverters."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import TINY, tiny_mel
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.invert_operator import register


@pytest.mark.parametrize("trains", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_operator_passes_the_checks_of_torch(trains, padded):
    register(MelInverter(TINY, n_iter=1, check=False), "checked")
    mel = torch.stack([tiny_mel(), tiny_mel(seed=1)])[..., :20].requires_grad_(trains)
    lengths, length = (torch.tensor([20, 9]), 300) if padded else (None, None)
    arguments = (mel, lengths, length, None, trains, "checked")
    torch.library.opcheck(torch.ops.torchmelinv.invert.default, arguments)


def test_an_inverter_is_registered_as_it_is_then():
    inverter, mel = MelInverter(TINY, n_iter=2), tiny_mel()
    expected = inverter(mel)
    register(inverter, "as it is")
    inverter.n_iter = 0
    result = torch.ops.torchmelinv.invert(mel, None, None, None, False, "as it is")
    torch.testing.assert_close(result, expected)


def test_unknown_settings_are_refused():
    with pytest.raises(InputError, match="no inverter with the settings"):
        torch.ops.torchmelinv.invert(tiny_mel(), None, None, None, False, "unknown")
