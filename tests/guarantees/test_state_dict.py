"""Modules load states as torch's own do: what is refused is named, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.problems import TINY, TINY_LOG, tones
from torchmelinv import STFT, MelFilterbank, MelInverter, MelSpectrogram, losses
from torchmelinv.compat import torchaudio as compat

WAVEFORM = tones(800)
MAGNITUDE = STFT(TINY)(WAVEFORM).abs()
MEL = MelSpectrogram(TINY)(WAVEFORM)
PAIR = (0.9 * WAVEFORM, WAVEFORM)
SIZES = {"n_fft": 128, "hop_length": 32}
# A module with the inputs of a call.
STATELESS: list[tuple[nn.Module, tuple[Tensor, ...]]] = [
    (STFT(TINY), (WAVEFORM,)),
    (MelFilterbank(TINY), (MAGNITUDE,)),
    (MelSpectrogram(TINY), (WAVEFORM,)),
    (MelInverter(TINY, n_iter=1), (MEL,)),
    (losses.MelLoss(TINY), PAIR),
    (losses.ComplexLoss(TINY), PAIR),
    (losses.SpectralConvergenceLoss(TINY), PAIR),
    (losses.MultiResolutionSTFTLoss([(64, 16, 64), (128, 32, 128)]), PAIR),
    (losses.ConsistencyLoss(TINY), (STFT(TINY)(WAVEFORM),)),
    (losses.SmoothnessLoss(TINY_LOG), (MEL.log(),)),
    (losses.ModulationSpectrumLoss(TINY_LOG), (MEL.log(), MEL.log())),
]
WITH_BUFFERS: list[tuple[nn.Module, tuple[Tensor, ...]]] = [
    (compat.Spectrogram(**SIZES), (WAVEFORM,)),
    (compat.MelScale(16, 8000, n_stft=65), (MAGNITUDE,)),
    (compat.InverseMelScale(65, 16, 8000), (MEL,)),
    (compat.GriffinLim(**SIZES, n_iter=1), (MAGNITUDE,)),
    (compat.MelSpectrogram(8000, **SIZES, n_mels=16), (WAVEFORM,)),
]


def name_of(value: Any) -> str:
    return type(value[0]).__module__.split(".")[-1] + "." + type(value[0]).__name__


def check_refused(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    state: Any,
    message: str,
    error: type[Exception] = RuntimeError,
) -> None:
    """Check that the module names what it refuses, and computes what it did before."""
    torch.manual_seed(0)
    expected = module(*inputs)
    with pytest.raises(error, match=message):
        module.load_state_dict(state)
    torch.manual_seed(0)
    assert torch.equal(module(*inputs), expected)


each_module = pytest.mark.parametrize("case", [*STATELESS, *WITH_BUFFERS], ids=name_of)


@each_module
def test_unexpected_keys_are_named(case):
    module, inputs = case
    state = {**module.state_dict(), "frame.window": torch.ones(3)}
    check_refused(module, inputs, state, 'Unexpected key.*"frame.window"')


@each_module
@pytest.mark.parametrize("state", [None, 3, "state", [torch.ones(3)]], ids=str)
def test_what_is_no_dictionary_is_refused(case, state):
    check_refused(*case, state, "Expected state_dict to be dict-like", TypeError)


@pytest.mark.parametrize("case", STATELESS, ids=name_of)
def test_modules_without_parameters_have_an_empty_state(case):
    module, _ = case
    assert not module.state_dict()
    module.load_state_dict({})


DAMAGES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "shape": (lambda buffer: buffer[:-1], "size mismatch for"),
    "None": (lambda buffer: None, "expected torch.Tensor"),
    "number": (lambda buffer: 3, "expected torch.Tensor"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("case", WITH_BUFFERS, ids=name_of)
def test_damaged_and_missing_buffers_are_named(case, damage):
    module, inputs = case
    change, message = DAMAGES[damage]
    for name, buffer in module.state_dict().items():
        state = {**module.state_dict(), name: change(buffer)}
        check_refused(module, inputs, state, f"{message}.*{name}|{name}.*{message}")
        del state[name]
        check_refused(module, inputs, state, f'Missing key.*"{name}"')


@pytest.mark.parametrize("case", WITH_BUFFERS, ids=name_of)
def test_buffers_of_another_dtype_are_converted(case):
    module, inputs = case
    torch.manual_seed(0)
    expected = module(*inputs)
    module.load_state_dict({name: each.double() for name, each in module.state_dict().items()})
    assert all(each.dtype == torch.float32 for each in module.state_dict().values())
    torch.manual_seed(0)
    assert torch.equal(module(*inputs), expected)
