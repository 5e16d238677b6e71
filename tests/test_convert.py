"""From one convention to another: which way, how close, what is said of it."""

from __future__ import annotations

import math

import pytest
import torch

from tests.problems import TINY, TINY_LOG, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level
from torchmelinv.convert import convert, way_between, what_is_lost
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.functional import mel_error_db
from torchmelinv.presets import preset

DECIBELS = TINY_LOG.replace(level=Level(log="log10", floor=1e-4, multiplier=20, affine=(-40.0, 40.0)))
UNNORMED = TINY_LOG.replace(mel_scale="htk", filter_norm=None, n_mels=12)
FASTER = TINY_LOG.replace(hop_length=16, n_fft=96)
OTHER_RATE = TINY_LOG.replace(sample_rate=16000, n_fft=256, hop_length=64)


def mel_of(convention, n_samples=1600, items=()):
    return MelAnalyzer(convention)(tones(n_samples, items))


def test_levels_are_exact_above_the_floors():
    found = convert(mel_of(TINY_LOG), TINY_LOG, DECIBELS)
    assert found.way == "level"
    torch.testing.assert_close(found.mel, mel_of(DECIBELS), atol=1e-4, rtol=0)
    assert not found.loses  # the target's floor is above the source's
    back = convert(found.mel, DECIBELS, TINY_LOG)
    assert len(back.loses) == 1
    assert "floor of 0.0001" in back.loses[0]
    above = mel_of(TINY_LOG).exp() > 1e-4
    torch.testing.assert_close(back.mel[above], mel_of(TINY_LOG)[above], atol=1e-4, rtol=0)
    torch.testing.assert_close(convert(mel_of(TINY_LOG), TINY_LOG, TINY_LOG).mel, mel_of(TINY_LOG), atol=1e-5, rtol=0)


def test_equal_spectra_are_seen_through_other_filters():
    found = convert(mel_of(TINY_LOG), TINY_LOG, UNNORMED)
    assert found.way == "bands"
    assert float(mel_error_db(found.mel.exp(), mel_of(UNNORMED).exp())) < -20
    with_gain = TINY_LOG.replace(filter_norm=None)  # a factor a band: nothing needs to be guessed
    exact = convert(mel_of(TINY_LOG), TINY_LOG, with_gain)
    torch.testing.assert_close(exact.mel, mel_of(with_gain), atol=2e-3, rtol=0)
    power = convert(mel_of(TINY_LOG), TINY_LOG, TINY_LOG.replace(power=2))
    assert power.way == "bands"


@pytest.mark.parametrize("target", [FASTER, OTHER_RATE])
def test_other_frames_go_through_audio(target):
    found = convert(mel_of(TINY_LOG), TINY_LOG, target, n_iter=100)
    assert found.way == "audio"
    assert any("phase" in words for words in found.loses)
    scale = target.sample_rate // TINY_LOG.sample_rate
    assert found.mel.shape == (target.n_mels, target.n_frames(1600 * scale))
    if scale == 1:
        assert float(mel_error_db(found.mel.exp(), mel_of(target).exp())) < -15
    else:
        assert any("above 4000 Hz" in words for words in found.loses)


@pytest.mark.parametrize("target", [DECIBELS, UNNORMED, FASTER, OTHER_RATE])
def test_padded_items_become_what_they_are_alone(target):
    mels = mel_of(TINY_LOG, items=(2,))
    lengths = torch.tensor([50, 31])
    together = convert(mels, TINY_LOG, target, lengths=lengths)
    alone = convert(mels[1, :, :31], TINY_LOG, target)
    frames = int(together.lengths[1])
    assert frames == alone.mel.shape[-1]
    torch.testing.assert_close(together.mel[1, :, :frames], alone.mel, atol=1e-3, rtol=0)


def test_gradients_pass_but_through_a_resampling():
    mel = mel_of(TINY_LOG).requires_grad_()
    for target in (DECIBELS, UNNORMED, FASTER):
        (gradient,) = torch.autograd.grad(convert(mel, TINY_LOG, target, n_iter=2).mel.sum(), mel)
        assert gradient.isfinite().all()
        assert gradient.any()
    with pytest.raises(InputError, match="8000 to 16000 Hz"):
        convert(mel, TINY_LOG, OTHER_RATE)
    assert not convert(mel.detach(), TINY_LOG, OTHER_RATE).mel.requires_grad


def test_what_cannot_come_back_is_said():
    lossy = TINY.replace(level=Level(log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80.0))
    words = " ".join(what_is_lost(lossy, TINY_LOG))
    assert "loudness" in words
    assert "160 dB or more below" in words  # of magnitudes, whose 10 log10 are half their decibels
    assert any(" 80 dB or more below" in each for each in what_is_lost(preset("whisper_80"), TINY_LOG))  # 8 decades of power
    nepers = TINY.replace(level=Level(log="ln", floor=1e-10, dynamic_range=math.log(1000)))
    assert any(" 60 dB or more below" in each for each in what_is_lost(nepers, TINY_LOG))
    clipped = TINY.replace(level=Level(log="ln", floor=1e-5, affine=(0.0, 4.0), clip=(-1.0, 1.0)))
    assert any("clip (-1.0, 1.0)" in each for each in what_is_lost(clipped, TINY_LOG))
    assert what_is_lost(TINY, TINY.replace(level=Level(log="ln", floor=1e-5))) == ()
    assert what_is_lost(lossy, lossy) == what_is_lost(clipped, clipped) == ()


def test_what_lies_outside_the_source_is_silent_and_said():
    inner = TINY_LOG.replace(f_min=500, f_max=3000)
    found = convert(mel_of(inner), inner, TINY_LOG)
    assert found.way == "bands"
    assert [words.split(",")[0] for words in found.loses[-2:]] == ["everything below 500 Hz", "everything above 3000 Hz"]
    assert (mel_of(TINY_LOG)[[0, -1]] > -8).all()
    torch.testing.assert_close(found.mel[[0, -1]], torch.full_like(found.mel[:2], math.log(1e-5)))
    assert not any("everything" in words for words in what_is_lost(TINY_LOG, inner))


def test_names_serve_as_conventions():
    assert way_between(TINY, TINY_LOG) == "audio"  # paddings differ
    mel = MelAnalyzer("hifigan_22k")(tones(8000))
    assert convert(mel, "hifigan_22k", "hifigan_22k").way == "level"
    with pytest.raises(ConventionError, match="hifigan_22k"):
        convert(mel, "hifigan_22k", "hifigan22k")
