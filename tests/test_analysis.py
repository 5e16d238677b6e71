"""MelSpectrogram: the steps from waveform to mel, padded batches, dtypes, dynamic range."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression
from torchmelinv.conventions.presets import preset


def test_steps_from_waveform_to_mel():
    waveform = tones(1600, (2,), torch.float64)
    mel_spectrogram = MelSpectrogram(TINY_LOG)
    magnitude = mel_spectrogram.stft(waveform).abs()
    torch.testing.assert_close(mel_spectrogram.magnitude(waveform), magnitude)
    linear_mel = mel_spectrogram.filterbank.table @ (magnitude.square() + 1e-9).sqrt()
    torch.testing.assert_close(mel_spectrogram.linear_mel(waveform), linear_mel)
    torch.testing.assert_close(mel_spectrogram(waveform), linear_mel.clamp(min=1e-5).log())


def test_magnitude_is_the_absolute_stft_at_any_power():
    waveform = tones(1600, dtype=torch.float64)
    for convention in (TINY, TINY_POWER.replace(padding=TINY.padding)):
        mel_spectrogram = MelSpectrogram(convention)
        expected = mel_spectrogram.stft(waveform).abs()
        torch.testing.assert_close(mel_spectrogram.magnitude(waveform), expected)


@pytest.mark.parametrize("name", ["whisper_80", "hifigan_22k", "kaldi_fbank", "diffusers_mel"])
def test_items_of_a_padded_batch_equal_single_items(name):
    convention = preset(name)
    mel_spectrogram = MelSpectrogram(convention)
    n_samples = 3 * convention.n_fft
    waveforms = tones(n_samples, (2,), torch.float64)
    lengths = torch.tensor([n_samples, n_samples - 2 * convention.hop_length - 3])
    batch = mel_spectrogram(waveforms, lengths=lengths)
    for waveform, length, mel in zip(waveforms, lengths.tolist(), batch, strict=True):
        alone = mel_spectrogram(waveform[:length])
        torch.testing.assert_close(mel[:, : alone.shape[-1]], alone)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precisions_are_computed_in_single(dtype):
    mel_spectrogram, waveform = MelSpectrogram(TINY_POWER), tones(1600).to(dtype)
    mel = mel_spectrogram(waveform)
    assert mel.dtype == torch.float32
    torch.testing.assert_close(mel, mel_spectrogram(waveform.float()))


def test_the_dynamic_range_is_relative_to_the_peak_of_each_item():
    convention = TINY.replace(level=Compression(log="log10", floor=1e-10, dynamic_range=3.0))
    loud, quiet = tones(1600), 1e-3 * tones(1600)
    both = MelSpectrogram(convention)(torch.stack([loud, quiet]))
    torch.testing.assert_close(both[1], MelSpectrogram(convention)(quiet))


def test_the_convention_is_read_only():
    class Sum(MelSpectrogram):
        def __init__(self) -> None:
            super().__init__(TINY)
            self.axis = -2

    mel_spectrogram = Sum()
    assert mel_spectrogram.convention is TINY
    with pytest.raises(AttributeError, match="convention"):
        mel_spectrogram.convention = TINY
