"""The door: each mistake has one clear error of our own; what merely looks odd is warned of."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, TINY_LOG, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level
from torchmelinv.door import as_linear, check_shape, check_values
from torchmelinv.errors import InputError, LevelWarning
from torchmelinv.invert import MelInverter
from torchmelinv.presets import preset, preset_names

MEL = MelAnalyzer(TINY).linear(tones(1600, (2,)))
LOG = MelAnalyzer(TINY_LOG)(tones(1600, (2,)))


def damaged(value: float) -> torch.Tensor:
    mel = LOG.clone()
    mel[1, 3, 7] = value
    mel[1, :, 9] = value
    return mel


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (MEL[:, :15], r"15 bands .* this convention has 16"),
        (MEL.mT, r"looks transposed .* mel\.mT"),
        (MEL[0, 0], r"shape \(50?1?,?\)|must be"),
        (MEL[:0], "empty"),
        (MEL[..., :0], "empty"),
        (MEL.int(), "int32.*real floating point"),
        (MEL + 0j, "complex64.*magnitude first"),
        (MEL.numpy(), r"ndarray.*torch\.Tensor"),
        (-MEL, r"negative values \(down to .*linear"),
    ],
)
def test_what_no_linear_mel_is(mel, message):
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, n_iter=0)(mel)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_finite_says_which_item_and_frame(value):
    with pytest.raises(InputError, match=r"frame 7 of item 1 \(2 such frames\)"):
        MelInverter(TINY_LOG, n_iter=0)(damaged(value))
    with pytest.raises(InputError, match=r"first in frame 7 \(2 such frames\)"):
        MelInverter(TINY_LOG, n_iter=0)(damaged(value)[1])


def test_what_stands_after_an_items_own_frames_may_be_anything():
    mel = LOG.clone()
    mel[1, :, 20:] = float("nan")
    lengths = torch.tensor([mel.shape[-1], 20])
    result = MelInverter(TINY_LOG, n_iter=2)(mel, lengths=lengths)
    assert result.isfinite().all()
    assert (result[1, TINY_LOG.n_samples(20) :] == 0).all()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([3.0, 4.0]), "whole numbers"),
        (torch.tensor([3]), r"must be \(2,\)"),
        (torch.tensor([0, 3]), "from 1 to"),
        (torch.tensor([3, 4000]), "from 1 to"),
    ],
)
def test_lengths(lengths, message):
    with pytest.raises(InputError, match=message):
        MelInverter(TINY, n_iter=0)(MEL, lengths=lengths)


def test_values_beyond_any_sound_are_refused():
    with pytest.raises(InputError, match="another level made them"):
        MelInverter(TINY_LOG, n_iter=0)(LOG + 60)


def test_a_log_mel_given_for_a_linear_one_is_refused_with_what_it_looks_like():
    with pytest.raises(InputError, match="a log mel"):
        MelInverter(TINY, n_iter=0)(LOG)


@pytest.mark.parametrize(
    ("mel", "looks"),
    [
        (MEL + 1.5, "looks like a linear mel"),
        (LOG * 20 / 2.302585, "dB or log10"),
        (LOG * 2 + 12, "looks like dB or log10 values, or a linear mel"),
    ],
)
def test_other_levels_are_warned_of(mel, looks):
    with pytest.warns(LevelWarning, match=looks):
        check_values(mel, TINY_LOG)


def test_log10_given_for_ln_and_the_reverse_pass_only_where_they_are_plausible():
    with pytest.warns(LevelWarning, match="far below this convention's floor"):
        check_values(LOG, TINY_LOG.replace(level=Level(log="log10", floor=1e-3)))


@pytest.mark.parametrize("name", preset_names())
def test_real_mels_of_every_preset_pass_in_silence(name):
    convention = preset(name)
    waveform = tones(max(4000, 2 * convention.n_fft))
    for gain in (1.0, 0.0):
        mel = MelAnalyzer(convention)(gain * waveform)
        check_values(check_shape(mel, convention), convention)


def test_rounding_below_zero_is_not_a_mistake():
    mel = MEL.clone()
    mel[0, 0, 0] = -1e-9
    check_values(mel, TINY)


def test_a_warning_names_the_line_that_called():
    for call in (MelInverter(TINY_LOG, n_iter=0), MelInverter(TINY_LOG, n_iter=0).solve):
        with pytest.warns(LevelWarning) as heard:
            call(MEL + 1.5)
        assert [warning.filename for warning in heard] == [__file__]


def test_checks_can_be_left_out():
    assert MelInverter(TINY_LOG, n_iter=0, check=False)(damaged(float("nan"))[1]).shape == (TINY_LOG.n_samples(LOG.shape[-1]),)


def test_a_linear_mel_that_is_mostly_negative_was_a_log_mel():
    mel = MelAnalyzer(TINY).linear(tones(640))
    assert torch.equal(as_linear(mel), mel)
    assert torch.equal(as_linear(mel - 1e-9), (mel - 1e-9).relu())
    with pytest.warns(LevelWarning, match="is this a log mel") as heard:
        assert (as_linear(mel.log() - 10) == 0).all()
    assert heard[0].filename == __file__
