"""MelAnalyzer: the path forward step by step, batches with lengths, gradients at silence."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer, root, seen, squares
from torchmelinv.conventions import Level
from torchmelinv.presets import preset


def test_the_path_forward():
    waveform = tones(1600, (2,), torch.float64)
    analyzer = MelAnalyzer(TINY_LOG)
    spectrum = analyzer.frame.analyse(waveform)
    expected = analyzer.filterbank.table @ (spectrum.abs().square() + 1e-9).sqrt()
    torch.testing.assert_close(analyzer.linear(waveform), expected)
    torch.testing.assert_close(analyzer(waveform), expected.clamp(min=1e-5).log())


@pytest.mark.parametrize("name", ["whisper_80", "hifigan_22k", "kaldi_fbank", "diffusers_mel"])
def test_items_of_a_padded_batch_are_as_if_alone(name):
    convention = preset(name)
    n = 3 * convention.n_fft
    waveforms = tones(n, (2,), torch.float64)
    lengths = torch.tensor([n, n - 2 * convention.hop_length - 3])
    batch = MelAnalyzer(convention)(waveforms, lengths=lengths)
    for waveform, length, mel in zip(waveforms, lengths.tolist(), batch, strict=True):
        alone = MelAnalyzer(convention)(waveform[:length])
        torch.testing.assert_close(mel[:, : alone.shape[-1]], alone)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.6])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8, 1.0, 1e8])
def test_roots_have_finite_gradients_at_every_size(power, size):
    spectrum = torch.full((3,), size, dtype=torch.complex64).requires_grad_()
    value = root(squares(spectrum), power)
    value.sum().backward()
    assert spectrum.grad.isfinite().all()
    if size >= 1e-8:
        torch.testing.assert_close(value.detach(), torch.full((3,), size**power), rtol=1e-5, atol=0)


def test_offset_and_floor_under_the_root():
    squared = squares(torch.tensor([0j, 1 + 1j]))
    torch.testing.assert_close(seen(squared, TINY.replace(magnitude_offset=1e-4)), torch.tensor([1e-2, (2 + 1e-4) ** 0.5]))
    torch.testing.assert_close(seen(squared, TINY.replace(magnitude_floor=1e-4)), torch.tensor([1e-2, 2**0.5]))


def test_half_precisions_come_back_in_single():
    for dtype in (torch.float16, torch.bfloat16):
        mel = MelAnalyzer(TINY_POWER)(tones(1600).to(dtype))
        assert mel.dtype == torch.float32
        torch.testing.assert_close(mel, MelAnalyzer(TINY_POWER)(tones(1600).to(dtype).float()))


def test_peaks_of_a_dynamic_range_are_each_items_own():
    convention = TINY.replace(level=Level(log="log10", floor=1e-10, dynamic_range=3.0))
    loud, quiet = tones(1600), 1e-3 * tones(1600)
    both = MelAnalyzer(convention)(torch.stack([loud, quiet]))
    torch.testing.assert_close(both[1], MelAnalyzer(convention)(quiet))
