"""The functions equal the modules, chain, share their defaults, and name a misspelled option."""

from __future__ import annotations

import inspect

import pytest
import torch

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from tests.solve import MAGNITUDE_PHASES
from torchmelinv import functional
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MfccConvention
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics import mel_error_db
from torchmelinv.phase import PHASES
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.transforms.stft import STFT

FUNCTIONS = [getattr(functional, name) for name in functional.__all__]
MFCC = MfccConvention(mel=TINY_LOG, n_mfcc=16)
WAVEFORM = tones(1600, (2,))
LOG_MEL = MelSpectrogram(TINY_LOG)(WAVEFORM)


@pytest.mark.parametrize("convention", [TINY, TINY_LOG, TINY_POWER])
def test_waveform_mel_magnitude_waveform(convention):
    """Magnitudes are |STFT| at any power of the convention."""
    mel_spectrogram = MelSpectrogram(convention)
    mel = functional.waveform_to_mel(WAVEFORM, convention)
    assert torch.equal(mel, mel_spectrogram(WAVEFORM))
    magnitude = functional.mel_to_magnitude(mel, convention)
    assert magnitude.max() < 1.5 * STFT(convention)(WAVEFORM).abs().max()
    waveform = functional.magnitude_to_waveform(magnitude, convention)
    target = mel_spectrogram.linear_mel(WAVEFORM)
    assert (mel_error_db(mel_spectrogram.linear_mel(waveform), target) < -15).all()


@pytest.mark.parametrize("phase", PHASES)
def test_mel_to_waveform_equals_the_module(phase):
    expected = MelInverter(TINY_LOG, phase=phase, n_iter=2)(LOG_MEL, length=1000)
    waveform = functional.mel_to_waveform(LOG_MEL, TINY_LOG, phase=phase, n_iter=2, length=1000)
    assert torch.equal(waveform, expected)


def test_each_item_may_have_its_own_length():
    mel = torch.stack([LOG_MEL.reshape(-1, *LOG_MEL.shape[-2:])[0]] * 2)
    length = [30 * TINY_LOG.hop_length + 5, 30 * TINY_LOG.hop_length]
    options = {"lengths": torch.tensor([30, 30]), "length": length}
    expected = MelInverter(TINY_LOG, n_iter=2)(mel, **options)
    assert [int(each.nonzero().max()) + 1 for each in expected] == length
    waveform = functional.mel_to_waveform(mel, TINY_LOG, n_iter=2, **options)
    assert torch.equal(waveform, expected)


@pytest.mark.parametrize("name", MAGNITUDE_PHASES)
def test_a_method_has_the_same_defaults_by_name_by_class_and_in_the_module(name):
    """The module alone knows that the magnitude was found for a mel, which `pghi` heeds."""
    magnitude = functional.mel_to_magnitude(LOG_MEL, TINY_LOG)
    expected = reconstruct(PHASES[name](), magnitude, STFT(TINY_LOG)).waveform
    for method in (name, PHASES[name]()):
        waveform = functional.magnitude_to_waveform(magnitude, TINY_LOG, method)
        assert torch.equal(waveform, expected)
    inverter = MelInverter(TINY_LOG, phase=name)
    mel = LinearMel(inverter.to_linear_mel(LOG_MEL), inverter.filterbank, TINY_LOG)
    expected = reconstruct(PHASES[name](), magnitude, STFT(TINY_LOG), mel=mel).waveform
    assert torch.equal(inverter(LOG_MEL), expected)


@pytest.mark.parametrize("name", MAGNITUDE_PHASES)
@pytest.mark.parametrize("init", ["random", "zero", "spsi"])
def test_the_module_is_its_two_halves(name, init):
    """But for `pghi`."""
    magnitude = functional.mel_to_magnitude(LOG_MEL, TINY_LOG)
    expected = functional.magnitude_to_waveform(magnitude, TINY_LOG, name, 4, init=init)
    assert torch.equal(MelInverter(TINY_LOG, phase=name, n_iter=4, init=init)(LOG_MEL), expected)


def test_functions_have_the_defaults_of_the_module():
    module = inspect.signature(MelInverter).parameters
    shared = [
        (function.__name__, name, parameter.default, module[name].default)
        for function in FUNCTIONS
        if function is not functional.initial_phase  # its `init` depends on `previous`
        for name, parameter in inspect.signature(function).parameters.items()
        if name in module and parameter.default is not parameter.empty
    ]
    assert len(shared) > 20
    for function, name, default, expected in shared:
        assert default == expected, (function, name)


def test_mfccs_of_all_coefficients_are_inverted():
    mfcc = functional.mel_to_mfcc(LOG_MEL, MFCC)
    mel = functional.mfcc_to_mel(mfcc, MFCC)
    torch.testing.assert_close(mel, LOG_MEL, atol=1e-4, rtol=0)
    waveform = functional.mfcc_to_waveform(mfcc, MFCC, n_iter=2, length=700)
    expected = functional.mel_to_waveform(mel, TINY_LOG, n_iter=2, length=700)
    assert torch.equal(waveform, expected)


@pytest.mark.parametrize(
    "options", [{"n_mfcc": 16}, {"n_mfcc": 7, "lifter": 22}, {"n_mfcc": 5, "norm": None}], ids=str
)
def test_waveforms_have_the_mfccs_that_they_were_made_from(options):
    convention = MfccConvention(mel=TINY_LOG, **options)
    mel_spectrogram = MelSpectrogram(TINY_LOG)
    mfcc = functional.mel_to_mfcc(LOG_MEL, convention)
    waveform = functional.mfcc_to_waveform(mfcc, convention, length=1600)
    assert waveform.shape == WAVEFORM.shape
    error = functional.mel_to_mfcc(mel_spectrogram(waveform), convention) - mfcc
    variation = mfcc - mfcc.mean((-2, -1), keepdim=True)
    assert error.square().sum() < 1e-3 * variation.square().sum()  # measured: up to 3e-4
    alone = functional.mfcc_to_waveform(mfcc[1], convention, length=1600)
    assert torch.equal(alone, waveform[1])
    if convention.n_mfcc == TINY_LOG.n_mels:
        linear_mel = mel_spectrogram.linear_mel(waveform)
        assert (mel_error_db(linear_mel, LOG_MEL.exp()) < -20).all()


def test_mfccs_of_a_padded_batch_with_gradients():
    convention = MFCC.replace(n_mfcc=7)
    mfcc = functional.mel_to_mfcc(LOG_MEL.double(), convention)
    mfcc[1, :, 20:] = torch.nan  # padding, which must not matter
    mfcc.requires_grad_()
    lengths = torch.tensor([mfcc.shape[-1], 20])
    waveform = functional.mfcc_to_waveform(mfcc, convention, n_iter=4, lengths=lengths)
    alone = functional.mfcc_to_waveform(mfcc[1, :, :20], convention, n_iter=4)
    torch.testing.assert_close(waveform[1, : len(alone)], alone, atol=1e-8, rtol=0)
    (gradient,) = torch.autograd.grad(waveform.square().sum(), mfcc)
    assert gradient.isfinite().all()
    assert (gradient[1, :, 20:] == 0).all()


def test_mfccs_of_silence_give_a_quiet_waveform():
    convention = MFCC.replace(n_mfcc=7)
    mel = functional.waveform_to_mel(torch.zeros(1600), TINY_LOG)
    mfcc = functional.mel_to_mfcc(mel, convention)
    assert functional.mfcc_to_waveform(mfcc, convention).abs().max() < 0.006


def test_invalid_mfccs_and_conventions():
    mfcc = functional.mel_to_mfcc(LOG_MEL[0], MFCC)
    mfcc[:, 3] = torch.nan
    with pytest.raises(InputError, match="NaN or infinite values, first in frame 3"):
        functional.mfcc_to_waveform(mfcc, MFCC)
    with pytest.raises(ConventionError, match="MFCCs need an MfccConvention"):
        functional.mfcc_to_waveform(mfcc, TINY_LOG)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_misspelled_option_names_the_nearest(function):
    option = list(inspect.signature(function).parameters)[-1]
    message = rf"{function.__name__} has no option '{option}x'; did you mean '{option}'"
    with pytest.raises(InputError, match=message):
        function(torch.zeros(2, 3), TINY, **{option + "x": 1})


def test_a_mel_consistent_method_needs_a_mel():
    with pytest.raises(InputError, match="needs a mel"):
        functional.magnitude_to_waveform(torch.rand(65, 9), TINY, "mel_consistent")
