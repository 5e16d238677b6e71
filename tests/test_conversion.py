"""`convert`: the route from one convention to another, how close it comes, and what it reports."""

from __future__ import annotations

import math

import pytest
import torch

from tests.problems import TINY, TINY_LOG, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression
from torchmelinv.conventions.presets import preset
from torchmelinv.conversion import conversion_losses, conversion_route, convert
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.metrics import mel_error_db

DECIBELS = TINY_LOG.replace(
    level=Compression(log="log10", floor=1e-4, multiplier=20, affine=(-40.0, 40.0))
)
UNNORMED = TINY_LOG.replace(mel_scale="htk", filter_norm=None, n_mels=12)
FASTER = TINY_LOG.replace(hop_length=16, n_fft=96)
OTHER_RATE = TINY_LOG.replace(sample_rate=16000, n_fft=256, hop_length=64)


def mel_of(convention, n_samples=1600, items=()):
    return MelSpectrogram(convention)(tones(n_samples, items))


def test_compression_is_exact_above_the_floors():
    result = convert(mel_of(TINY_LOG), TINY_LOG, DECIBELS)
    assert result.route == "compression"
    torch.testing.assert_close(result.mel, mel_of(DECIBELS), atol=1e-4, rtol=0)
    assert not result.lost  # the target's floor is above the source's
    back = convert(result.mel, DECIBELS, TINY_LOG)
    assert len(back.lost) == 1
    assert "floor of 0.0001" in back.lost[0]
    above = mel_of(TINY_LOG).exp() > 1e-4
    torch.testing.assert_close(back.mel[above], mel_of(TINY_LOG)[above], atol=1e-4, rtol=0)
    torch.testing.assert_close(
        convert(mel_of(TINY_LOG), TINY_LOG, TINY_LOG).mel, mel_of(TINY_LOG), atol=1e-5, rtol=0
    )


def test_equal_spectra_are_converted_by_bands():
    result = convert(mel_of(TINY_LOG), TINY_LOG, UNNORMED)
    assert result.route == "bands"
    assert float(mel_error_db(result.mel.exp(), mel_of(UNNORMED).exp())) < -20
    with_gain = TINY_LOG.replace(filter_norm=None)  # one factor per band: exact
    exact = convert(mel_of(TINY_LOG), TINY_LOG, with_gain)
    torch.testing.assert_close(exact.mel, mel_of(with_gain), atol=2e-3, rtol=0)
    power = convert(mel_of(TINY_LOG), TINY_LOG, TINY_LOG.replace(power=2))
    assert power.route == "bands"


@pytest.mark.parametrize("target", [FASTER, OTHER_RATE])
def test_other_stfts_are_converted_by_audio(target):
    result = convert(mel_of(TINY_LOG), TINY_LOG, target, n_iter=100)
    assert result.route == "audio"
    assert any("phase" in sentence for sentence in result.lost)
    scale = target.sample_rate // TINY_LOG.sample_rate
    assert result.mel.shape == (target.n_mels, target.n_frames(1600 * scale))
    if scale == 1:
        assert float(mel_error_db(result.mel.exp(), mel_of(target).exp())) < -15
    else:
        assert any("above 4000 Hz" in sentence for sentence in result.lost)


@pytest.mark.parametrize("target", [DECIBELS, UNNORMED, FASTER, OTHER_RATE])
def test_padding_does_not_change_items(target):
    mels = mel_of(TINY_LOG, items=(2,))
    lengths = torch.tensor([50, 31])
    batch = convert(mels, TINY_LOG, target, lengths=lengths)
    single = convert(mels[1, :, :31], TINY_LOG, target)
    frames = int(batch.lengths[1])
    assert frames == single.mel.shape[-1]
    torch.testing.assert_close(batch.mel[1, :, :frames], single.mel, atol=1e-3, rtol=0)


def test_gradients_pass_except_through_a_resampling():
    mel = mel_of(TINY_LOG).requires_grad_()
    for target in (DECIBELS, UNNORMED, FASTER):
        (gradient,) = torch.autograd.grad(convert(mel, TINY_LOG, target, n_iter=2).mel.sum(), mel)
        assert gradient.isfinite().all()
        assert gradient.any()
    with pytest.raises(InputError, match="8000 to 16000 Hz"):
        convert(mel, TINY_LOG, OTHER_RATE)
    assert not convert(mel.detach(), TINY_LOG, OTHER_RATE).mel.requires_grad


def test_losses_by_compression():
    lossy = TINY.replace(
        level=Compression(
            log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80.0
        )
    )
    sentences = " ".join(conversion_losses(lossy, TINY_LOG))
    assert "loudness" in sentences
    # 10 log10 of a magnitude is half its decibels
    assert "160 dB or more below" in sentences
    whisper = preset("whisper_80")  # 8 decades of power
    assert any(" 80 dB or more below" in each for each in conversion_losses(whisper, TINY_LOG))
    nepers = TINY.replace(level=Compression(log="ln", floor=1e-10, dynamic_range=math.log(1000)))
    assert any(" 60 dB or more below" in each for each in conversion_losses(nepers, TINY_LOG))
    clipped = TINY.replace(
        level=Compression(log="ln", floor=1e-5, affine=(0.0, 4.0), clip=(-1.0, 1.0))
    )
    assert any("clip (-1.0, 1.0)" in each for each in conversion_losses(clipped, TINY_LOG))
    assert conversion_losses(TINY, TINY.replace(level=Compression(log="ln", floor=1e-5))) == ()
    assert conversion_losses(lossy, lossy) == conversion_losses(clipped, clipped) == ()


def test_frequencies_outside_the_source_become_silence():
    inner = TINY_LOG.replace(f_min=500, f_max=3000)
    result = convert(mel_of(inner), inner, TINY_LOG)
    assert result.route == "bands"
    assert [sentence.split(",")[0] for sentence in result.lost[-2:]] == [
        "everything below 500 Hz",
        "everything above 3000 Hz",
    ]
    assert (mel_of(TINY_LOG)[[0, -1]] > -8).all()
    torch.testing.assert_close(result.mel[[0, -1]], torch.full_like(result.mel[:2], math.log(1e-5)))
    assert not any("everything" in each for each in conversion_losses(TINY_LOG, inner))


def test_conventions_by_name_and_path(tmp_path):
    assert conversion_route(TINY, TINY_LOG) == "audio"  # paddings differ
    mel = MelSpectrogram("hifigan_22k")(tones(8000))
    path = tmp_path / "convention.json"
    path.write_text(preset("hifigan_22k").to_json(), encoding="utf-8")
    for source in ("hifigan_22k", path, str(path)):
        assert convert(mel, source, "hifigan_22k").route == "compression"
        assert conversion_route(source, "hifigan_22k") == "compression"
        assert conversion_losses(source, "hifigan_22k") == ()
    with pytest.raises(ConventionError, match="hifigan_22k"):
        convert(mel, "hifigan_22k", "hifigan22k")


def test_misspelled_options_name_the_nearest():
    with pytest.raises(InputError, match="convert has no option 'n_iters'; did you mean 'n_iter'"):
        convert(mel_of(TINY_LOG), TINY_LOG, FASTER, n_iters=4)
    with pytest.raises(InputError, match="phase is 'griffin'"):
        convert(mel_of(TINY_LOG), TINY_LOG, DECIBELS, phase="griffin")
