"""The objects that options name, and options that reach the inverter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import TINY, TINY_ONE, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.cli.from_options import check_device
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS

pytestmark = pytest.mark.usefixtures("workplace")


def invert(run, mel, *options):
    """Invert a file by the command line; return the waveform."""
    assert run("invert", mel, "-o", "x.wav", *options)[0] == 0
    return read_audio("x.wav")[0][0]


def test_defaults_are_those_of_the_inverter(run):
    waveform = invert(run, "mel.npy", *TINY_ONE, "--subtype", "FLOAT")
    assert torch.allclose(waveform, MelInverter(TINY)(tiny_mel()), atol=1e-6)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("phase", PHASES)
def test_methods_reach_the_inverter(run, magnitude, phase):
    options = ["--magnitude", magnitude, "--phase", phase, "--n-iter", "3", "--seed", "7"]
    waveform = invert(run, "mel.npy", *TINY_ONE, *options, "--subtype", "DOUBLE")
    expected = MelInverter(TINY, magnitude, phase, 3, seed=7)(tiny_mel())
    assert torch.allclose(waveform, expected, atol=1e-5)


@pytest.mark.parametrize("init", INITS)
def test_init_and_seed_reach_the_inverter(run, init):
    options = ["--init", init, "--n-iter", "1", "--seed", "7", "--subtype", "FLOAT"]
    waveform = invert(run, "mel.npy", *TINY_ONE, *options)
    expected = MelInverter(TINY, n_iter=1, init=init, seed=7)(tiny_mel())
    assert torch.allclose(waveform, expected, atol=1e-6)


def test_model_space_is_that_of_the_preset(run):
    convention = preset("matcha_ljspeech", model_space=True)
    mel = torch.randn(80, 12) - 1
    np.save("m.npy", mel.numpy())
    options = ["--convention", "matcha_ljspeech", "--model-space", "--n-iter", "1"]
    waveform = invert(run, "m.npy", *options, "--subtype", "FLOAT")
    expected = MelInverter(convention, n_iter=1)(mel)
    assert torch.allclose(waveform, expected, rtol=1e-3, atol=1e-4)


def test_devices():
    assert check_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="there is no device 'gpu'; available: cpu"):
        check_device("gpu")
    with pytest.raises(InputError, match="'meta' cannot be used"):
        check_device("meta")
    with pytest.raises(InputError, match=r"'cuda:77' cannot be used \(.+\); available: cpu"):
        check_device("cuda:77")
