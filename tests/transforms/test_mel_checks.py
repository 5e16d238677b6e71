"""Checks of a mel: each mistake has one clear error, and values that only look odd a warning."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from tests.problems import TINY, TINY_LOG, tones
from tests.shared import AUDIO, needs_audio
from tests.transforms.test_mel_bounds import extreme_waveforms
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.errors import InputError, MelValueWarning
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio
from torchmelinv.io.resample import resample
from torchmelinv.transforms.mel_checks import (
    check_mel_shape,
    check_mel_values,
    check_possible_values,
    clamp_linear_mel,
    find_value_problem,
)

MEL = MelSpectrogram(TINY).linear_mel(tones(1600, (2,)))
LOG = MelSpectrogram(TINY_LOG)(tones(1600, (2,)))


def damaged(value: float) -> torch.Tensor:
    """The log mel with a value in frames 7 and 9 of item 1."""
    mel = LOG.clone()
    mel[1, 3, 7] = value
    mel[1, :, 9] = value
    return mel


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (MEL[:, :15], r"15 bands .* this convention has 16"),
        (MEL.mT, r"looks transposed .* transpose it"),
        (MEL[0, 0], r"the mel has shape \(51,\); it must be \(…, 16, n_frames\)"),
        (MEL[:0], "empty"),
        (MEL[..., :0], "empty"),
        (MEL.int(), "int32.*real floating point"),
        (MEL + 0j, "complex64.*magnitude first"),
        (MEL.numpy(), r"ndarray.*torch\.Tensor"),
        (-MEL, r"negative values \(down to .*linear"),
    ],
)
def test_invalid_linear_mels(mel, message):
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, n_iter=0)(mel)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_located(value):
    with pytest.raises(InputError, match=r"frame 7 of item 1 \(2 such frames\)"):
        MelInverter(TINY_LOG, n_iter=0)(damaged(value))
    with pytest.raises(InputError, match=r"first in frame 7 \(2 such frames\)"):
        MelInverter(TINY_LOG, n_iter=0)(damaged(value)[1])
    with pytest.raises(InputError, match=r"frame 7 of item \(0, 1\) \(2 such frames\)"):
        MelInverter(TINY_LOG, n_iter=0)(damaged(value)[None])


def test_padding_frames_may_hold_anything():
    mel = LOG.clone()
    mel[1, :, 20:] = float("nan")
    lengths = torch.tensor([mel.shape[-1], 20])
    result = MelInverter(TINY_LOG, n_iter=2)(mel, lengths=lengths)
    assert result.isfinite().all()
    assert (result[1, TINY_LOG.n_samples(20) :] == 0).all()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([3.0, 4.0]), "integers"),
        (torch.tensor([3]), r"must be \(2,\)"),
        (torch.tensor([0, 3]), "from 1 to"),
        (torch.tensor([3, 4000]), "from 1 to"),
    ],
)
def test_invalid_lengths(lengths, message):
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, n_iter=0)(MEL, lengths=lengths)


def test_values_beyond_any_sound_are_an_error():
    with pytest.raises(InputError, match="they were made with another level"):
        MelInverter(TINY_LOG, n_iter=0)(LOG + 60)


def test_a_log_mel_in_a_linear_convention_is_an_error():
    with pytest.raises(InputError, match="a log mel"):
        MelInverter(TINY, n_iter=0)(LOG)


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (MEL + 1.5, "looks like a linear mel"),
        (LOG * 20 / 2.302585, "dB or log10"),
        (LOG * 2 + 12, "looks like dB or log10 values, or a linear mel"),
    ],
)
def test_values_of_another_level_give_a_warning(mel, message):
    with pytest.warns(MelValueWarning, match=message):
        check_mel_values(mel, TINY_LOG)


@pytest.mark.parametrize("mel", [MEL / 10, LOG / 12 + 1], ids=["linear", "from 0 to 1"])
def test_quiet_values_above_zero_give_a_warning(mel):
    with pytest.warns(MelValueWarning, match="looks like a linear mel"):
        check_mel_values(mel, TINY_LOG)


def test_ln_values_in_a_log10_convention_give_a_warning():
    with pytest.warns(MelValueWarning, match="far below this convention's floor"):
        check_mel_values(LOG, TINY_LOG.replace(level=Compression(log="log10", floor=1e-3)))


def test_the_problem_can_be_returned_instead():
    assert find_value_problem(LOG, TINY_LOG) is None
    assert "looks like a linear mel" in find_value_problem(MEL + 1.5, TINY_LOG)
    with pytest.raises(InputError, match="NaN"):
        find_value_problem(damaged(float("nan")), TINY_LOG)


def test_impossible_values_are_refused_without_a_warning_for_others():
    check_possible_values(MEL + 1.5, TINY_LOG)
    with pytest.raises(InputError, match="NaN"):
        check_possible_values(damaged(float("nan")), TINY_LOG)
    with pytest.raises(InputError, match="stand for more than"):
        check_possible_values(LOG + 100, TINY_LOG)
    with pytest.raises(InputError, match="negative values"):
        check_possible_values(MEL - 1, TINY)


@pytest.mark.parametrize("name", preset_names())
def test_full_scale_mels_of_every_preset_pass_without_a_warning(name):
    convention = preset(name)
    n_samples = max(4000, 2 * convention.n_fft)
    waveforms = (tones(n_samples), *extreme_waveforms(n_samples).float())
    for waveform in waveforms:
        mel = MelSpectrogram(convention)(waveform)
        check_mel_values(check_mel_shape(mel, convention), convention)


@needs_audio
@pytest.mark.parametrize("name", ["speech_lj_LJ001-0002.wav", "music_sms_piano.wav"])
def test_recordings_at_full_scale_pass_without_a_warning(name):
    waveform, rate = read_audio(AUDIO / name)
    waveform = waveform.mean(0)[: int(rate)]
    resampled = {rate: waveform}
    for convention in map(preset, preset_names()):
        new_rate = convention.sample_rate
        if new_rate not in resampled:
            resampled[new_rate] = resample(waveform, rate, new_rate)
        full_scale = resampled[new_rate] / resampled[new_rate].abs().max()
        check_mel_values(MelSpectrogram(convention)(full_scale), convention)


def speechlike() -> torch.Tensor:
    """The mel of hifigan_22k of tones with pauses, (80, 62)."""
    gate = (torch.arange(16000) // 2000 % 2).clamp(min=1e-3)
    return MelSpectrogram("hifigan_22k")(tones(16000) * gate)


WRONG_LEVELS = {
    "mean and deviation": lambda mel: (mel - mel.mean()) / mel.std(),
    "from -1 to 1": lambda mel: 2 * (mel - mel.min()) / (mel.max() - mel.min()) - 1,
    "coqui_default": lambda mel: (mel * 20 / math.log(10) - 20 + 50) / 12.5,
}


@pytest.mark.parametrize("name", WRONG_LEVELS)
def test_frames_with_too_much_energy_give_a_warning(name):
    """Each band stays within 100 times its bound."""
    mel = WRONG_LEVELS[name](speechlike())
    with pytest.warns(MelValueWarning, match="more energy than a waveform in .* normalized"):
        check_mel_values(mel, preset("hifigan_22k"))
    padded = torch.stack([torch.full_like(mel, -11.5), mel]).repeat(1, 1, 8)
    mask = torch.arange(padded.shape[-1]) < torch.tensor([100, mel.shape[-1]])[:, None, None]
    assert "more energy" in find_value_problem(padded, preset("hifigan_22k"), mask)
    mask = torch.arange(padded.shape[-1]) < torch.tensor([100, 2])[:, None, None]
    assert find_value_problem(padded, preset("hifigan_22k"), mask) is None


def test_a_few_loud_frames_give_no_warning():
    mel = speechlike()
    mel[:, 30:34] = 1.5  # 4 of 62 frames
    assert find_value_problem(mel, preset("hifigan_22k")) is None
    mel[:, 30:40] = 1.5
    assert "more energy" in find_value_problem(mel, preset("hifigan_22k"))


def test_equal_problems_have_equal_texts():
    """Python then shows each once."""
    mel, convention = speechlike(), preset("hifigan_22k")
    for damage in (torch.exp, lambda mel: 8.7 * mel, WRONG_LEVELS["mean and deviation"]):
        assert find_value_problem(damage(mel), convention) == find_value_problem(
            damage(mel + 0.1), convention
        )


def test_a_training_shows_a_warning_once():
    inverter = MelInverter("hifigan_22k", n_iter=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for step in range(50):
            mel = (speechlike().exp() + 1e-3 * step).requires_grad_()
            inverter(mel).square().sum().backward()
    assert [each.category for each in caught] == [MelValueWarning]


def test_extreme_conventions_are_checked():
    """A filterbank without any weight, and the smallest floor that a float has."""
    level = Compression(log="ln", floor=5e-324)
    empty = TINY_LOG.replace(f_min=1000.01, f_max=1000.02, level=level)
    mel = MelSpectrogram(empty)(tones(1600, dtype=torch.float64))
    assert find_value_problem(mel, empty) is None
    assert "beyond what a waveform" in find_value_problem(mel.clamp(min=-5), empty)


ZEROS = "whole frames or bands are exactly 0, which is not silence here"


def test_frames_of_zeros_as_padding_give_a_warning():
    mel, n_frames = speechlike(), speechlike().shape[-1]
    padded = torch.cat([mel, torch.zeros(80, 50)], -1)
    inverter = MelInverter("hifigan_22k", n_iter=0)
    with pytest.warns(MelValueWarning, match=f"{ZEROS}.* lengths=.* value of silence, -11.51"):
        inverter(padded)
    inverter(padded[None], lengths=torch.tensor([n_frames]))  # no warning


@pytest.mark.parametrize("where", [(slice(20, 30),), (slice(None), slice(9, 14))], ids=str)
def test_masks_of_zeros_give_a_warning(where):
    mel = speechlike()
    mel[where] = 0
    assert find_value_problem(mel, preset("hifigan_22k")).startswith(ZEROS)
    batch = torch.stack([speechlike(), mel])
    assert find_value_problem(batch, preset("hifigan_22k")).startswith(ZEROS)


def test_zeros_that_mean_silence_or_an_average_give_no_warning():
    mel, convention = speechlike(), preset("hifigan_22k")
    crossing = mel.clone()
    crossing[30:50, ::2] = 0  # a quarter of the bands, in half of the frames
    assert find_value_problem(crossing, convention) is None
    # 0 is the lowest value of a clipped mel, and the average of a normalized one.
    clipped = preset("wavernn_fatchord")
    silence = MelSpectrogram(clipped)(torch.zeros(16000))
    assert (silence == 0).all()
    assert find_value_problem(silence, clipped) is None
    normalized = preset("matcha_ljspeech", model_space=True)
    masked = MelSpectrogram(normalized)(tones(16000))
    masked[:, :9] = 0
    assert find_value_problem(masked, normalized) is None


def test_rounding_below_zero_is_allowed():
    mel = MEL.clone()
    mel[0, 0, 0] = -1e-9
    check_mel_values(mel, TINY)


def test_a_warning_names_the_callers_line():
    for call in (MelInverter(TINY_LOG, n_iter=0), MelInverter(TINY_LOG, n_iter=0).solve):
        with pytest.warns(MelValueWarning) as caught:
            call(MEL + 1.5)
        assert [warning.filename for warning in caught] == [__file__]


def test_checks_can_be_skipped():
    inverter = MelInverter(TINY_LOG, n_iter=0, check=False)
    waveform = inverter(damaged(float("nan"))[1])
    assert waveform.shape == (TINY_LOG.n_samples(LOG.shape[-1]),)


def test_a_linear_mel_with_mostly_negative_values_gives_a_warning():
    mel = MelSpectrogram(TINY).linear_mel(tones(640))
    assert torch.equal(clamp_linear_mel(mel), mel)
    assert torch.equal(clamp_linear_mel(mel - 1e-9), (mel - 1e-9).relu())
    with pytest.warns(MelValueWarning, match="is this a log mel") as caught:
        assert (clamp_linear_mel(mel.log() - 10) == 0).all()
    assert caught[0].filename == __file__


@pytest.mark.parametrize("value", [2e18, 1e30, 3e38])
@pytest.mark.parametrize("level", [Compression(), Compression(affine=(1.0, 2.0))], ids=str)
def test_linear_mels_have_a_ceiling(level, value):
    """Squares of what lies beyond leave the range of float32."""
    inverter = MelInverter(TINY.replace(level=level), n_iter=1)
    with pytest.raises(InputError, match=r"stand for more than 1e\+18"):
        inverter(torch.full((16, 9), value))
    assert inverter(torch.full((16, 9), 4e17)).isfinite().all()


@pytest.mark.parametrize("power", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("log", [None, "ln"])
def test_powers_below_1_have_a_lower_ceiling(power, log):
    level = Compression(log="ln", floor=1e-5) if log else Compression()
    convention = TINY.replace(power=power, level=level)
    mel = MelSpectrogram(convention.replace(level=Compression())).linear_mel(tones(800))
    # To a magnitude of 1e17, then to one of 1e20.
    for magnitude in (1e17, 1e20):
        loud = mel * (magnitude / 1e2) ** power
        values = loud.log() if log else loud
        inverter = MelInverter(convention, n_iter=2)
        if magnitude > 1e18:
            with pytest.raises(InputError, match=r"magnitudes above 1e\+18|more than 1e\+18"):
                inverter(values)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MelValueWarning)
                assert inverter(values).isfinite().all()
