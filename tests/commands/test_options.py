"""What the commands ask for alike reaches the inverter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import TINY, TINY_ONE, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.files import read_audio
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.presets import preset

pytestmark = pytest.mark.usefixtures("workplace")


def test_defaults_are_the_inverters(run):
    assert run("invert", "mel.npy", "-o", "x.wav", *TINY_ONE, "--subtype", "FLOAT")[0] == 0
    assert torch.allclose(read_audio("x.wav")[0][0], MelInverter(TINY)(tiny_mel()), atol=1e-6)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("phase", PHASES)
def test_methods_and_seeds_reach_the_inverter(run, magnitude, phase):
    options = ["--magnitude", magnitude, "--phase", phase, "--n-iter", "3", "--seed", "7", "--subtype", "DOUBLE"]
    assert run("invert", "mel.npy", "-o", "x.wav", *TINY_ONE, *options)[0] == 0
    expected = MelInverter(TINY, magnitude, phase, 3, seed=7)(tiny_mel())
    assert torch.allclose(read_audio("x.wav")[0][0], expected, atol=1e-5)


def test_model_space_is_a_presets(run):
    convention = preset("matcha_ljspeech", model_space=True)
    mel = torch.randn(80, 12)
    np.save("m.npy", mel.numpy())
    options = ["--convention", "matcha_ljspeech", "--model-space", "--n-iter", "1", "--subtype", "FLOAT"]
    assert run("invert", "m.npy", "-o", "x.wav", *options)[0] == 0
    assert torch.allclose(read_audio("x.wav")[0][0], MelInverter(convention, n_iter=1)(mel), rtol=1e-3, atol=1e-4)
