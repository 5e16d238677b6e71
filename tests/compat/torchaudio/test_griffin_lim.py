"""Griffin-Lim is torchaudio's from zero phases, and random in the same way."""

from __future__ import annotations

import inspect

import pytest
import torch
import torchaudio.functional
import torchaudio.transforms as reference

from tests.compat.torchaudio.deviation import SMALL, deviation
from tests.problems import tones
from torchmelinv.compat import torchaudio as compat

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@pytest.mark.parametrize("n_iter", [0, 1, 30])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_fft": 401, "momentum": 0.0},
        {"n_fft": 200, "hop_length": 40, "power": 1.0, "length": 3000},
        {"win_length": 300, "hop_length": 70, "window_fn": torch.hamming_window},
    ],
    ids=str,
)
def test_griffin_lim_from_zero_phases_is_torchaudios(settings, n_iter):
    """30 iterations amplify the rounding of float64 a thousand times."""
    analysis = {
        name: value for name, value in settings.items() if name not in ("momentum", "length")
    }
    specgram = reference.Spectrogram(**analysis).double()(tones(3000, (2, 1), torch.float64))
    result, expected = (
        library.GriffinLim(n_iter=n_iter, rand_init=False, **settings).double()(specgram)
        for library in (compat, reference)
    )
    assert result.shape == expected.shape
    assert deviation(result, expected) < 1e-10


def test_griffinlim_is_torchaudios():
    assert list(inspect.signature(compat.griffinlim).parameters) == list(
        inspect.signature(torchaudio.functional.griffinlim).parameters
    )
    window = torch.hamming_window(301, dtype=torch.float64)
    specgram = reference.Spectrogram(401, 301, 70, power=1.5).double()(
        tones(3000, (2, 1), torch.float64)
    )
    for length in (None, 3000):
        result, expected, scripted = (
            function(specgram, window, 401, 70, 301, 1.5, 8, 0.9, length, False)
            for function in (
                compat.griffinlim,
                torchaudio.functional.griffinlim,
                torch.jit.script(compat.griffinlim),
            )
        )
        assert result.shape == expected.shape
        assert deviation(result, expected) < 1e-10
        assert torch.equal(result, scripted)
    torch.manual_seed(1)
    result = compat.griffinlim(specgram, window, 401, 70, 301, 1.5, 8, 0.9, None, True)
    transform = compat.GriffinLim(401, 8, 301, 70, torch.hamming_window, 1.5, momentum=0.9).double()
    transform.window.copy_(window)
    torch.manual_seed(1)
    assert torch.equal(result, transform(specgram))


def test_random_phases_follow_torchs_global_generator():
    specgram = reference.Spectrogram(**SMALL)(tones(2000))
    transform = compat.GriffinLim(**SMALL, n_iter=20)
    torch.manual_seed(1)
    first = transform(specgram)
    assert not torch.equal(transform(specgram), first)
    torch.manual_seed(1)
    assert torch.equal(transform(specgram), first)

    def distance(waveform):
        return (reference.Spectrogram(**SMALL, power=1)(waveform) - specgram.sqrt()).norm()

    torch.manual_seed(1)
    assert distance(first) < 1.1 * distance(reference.GriffinLim(**SMALL, n_iter=20)(specgram))


def test_exported_griffin_lim_has_no_operators_of_this_package():
    module = compat.GriffinLim(64, 2, 48, 12, torch.hamming_window, rand_init=False)
    sizes = ({0: torch.export.Dim("batch"), 2: torch.export.Dim("time", min=8, max=4096)},)
    program = torch.export.export(module, (torch.rand(2, 33, 20),), dynamic_shapes=sizes)
    assert "torchmelinv" not in program.graph_module.code
    specgram = torch.rand(3, 33, 47)
    torch.testing.assert_close(program.module()(specgram), module(specgram))
