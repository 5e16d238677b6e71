"""The inversion as an operator: torch's own checks, and the registry of inverters."""

from __future__ import annotations

import numpy as np
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


def test_subclasses_are_not_taken_for_each_other():
    class Louder(MelInverter):
        def to_linear_mel(self, mel, *, lengths=None):
            return 16 * super().to_linear_mel(mel, lengths=lengths)

    mel = torch.stack([tiny_mel(), tiny_mel(seed=1)])
    for kind in (MelInverter, Louder):
        inverter = kind(TINY, n_iter=1)
        torch.testing.assert_close(torch.func.vmap(inverter)(mel), inverter(mel))


def test_a_class_that_is_defined_anew_is_used():
    mel = tiny_mel()[None]
    for factor in (1, 16):

        class Scaled(MelInverter):
            factor: int

            def to_linear_mel(self, mel, *, lengths=None):
                return self.factor * super().to_linear_mel(mel, lengths=lengths)

        Scaled.factor = factor
        inverter = Scaled(TINY, n_iter=1)
        torch.testing.assert_close(torch.func.vmap(inverter)(mel), inverter(mel))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": "300"}, "length is '300'"),
        ({"length": np.array([300])}, "samples of each item"),
        ({"lengths": "20"}, "lengths has type str"),
        ({"init_waveform": np.zeros(300)}, "init_waveform has type ndarray"),
    ],
)
def test_mistakes_are_refused_under_transforms(options, message):
    inverter = MelInverter(TINY, n_iter=1)
    with pytest.raises(InputError, match=message):
        torch.func.vmap(lambda mel: inverter(mel, **options))(tiny_mel()[None])


def test_mapped_items_are_no_channels():
    inverter = MelInverter(TINY, n_iter=1, channels=True)
    with pytest.raises(InputError, match="without a dimension of channels"):
        torch.func.vmap(inverter)(tiny_mel()[None])


def test_other_methods_under_transforms():
    inverter, mel = MelInverter(TINY, n_iter=1), torch.stack([tiny_mel(), tiny_mel(seed=1)])
    magnitude = torch.func.vmap(inverter.to_magnitude)(mel)
    torch.testing.assert_close(magnitude, inverter.to_magnitude(mel))
    with pytest.raises(InputError, match="not supported; use MelInverter"):
        torch.func.vmap(lambda each: inverter.solve(each).waveform)(mel)
