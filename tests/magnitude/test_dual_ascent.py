"""The solver with a fixed number of steps against Newton's method."""

from __future__ import annotations

import contextlib

import pytest
import torch

import torchmelinv as tmi
from torchmelinv._utils.control_flow import fixed_control_flow
from torchmelinv.conventions.presets import as_convention
from torchmelinv.magnitude.entropic import entropic, entropic_solve
from torchmelinv.magnitude.least_distance import least_distance, least_distance_solve

# Of the residual and of the difference between both results: in the median frame and at most.
BOUNDS = {
    (entropic_solve, "hifigan_22k"): (1e-3, 3e-3, 0.01),
    (entropic_solve, "whisper_80"): (1e-3, 0.02, 0.1),
    (entropic_solve, "librosa_melspectrogram"): (2e-3, 0.02, 0.2),
    (least_distance_solve, "hifigan_22k"): (1e-3, 0.03, 0.15),
    (least_distance_solve, "whisper_80"): (1e-3, 0.03, 0.15),
}


def noise_mel(preset: str) -> torch.Tensor:
    """The linear mel of noise whose level and spectrum change."""
    filterbank = tmi.MelFilterbank(preset)
    spectrum = tmi.STFT(preset)(torch.randn(16000) * torch.linspace(1e-3, 1, 16000)).abs()
    tilt = torch.linspace(0, -4, filterbank.n_freqs).exp()[:, None]
    return filterbank((spectrum * tilt).pow(as_convention(preset).power))


@pytest.mark.parametrize(("solve", "preset"), BOUNDS)
def test_agrees_with_newtons_method(solve, preset):
    mel, filterbank = noise_mel(preset), tmi.MelFilterbank(preset)
    newton = solve(mel, filterbank)
    with fixed_control_flow():
        ascent = solve(mel, filterbank)
    median, residual, difference = BOUNDS[solve, preset]
    assert float(ascent.residual.median()) < median
    assert float(ascent.residual.max()) < residual
    error = (ascent.spectrum - newton.spectrum).norm(dim=-2) / newton.spectrum.norm(dim=-2)
    assert float(error.max()) < difference
    assert float(error.median()) < 2 * median


@pytest.mark.parametrize("inverse", [entropic, least_distance])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scales_with_the_mel(inverse, scale):
    mel, filterbank = noise_mel("hifigan_22k"), tmi.MelFilterbank("hifigan_22k")
    with fixed_control_flow():
        torch.testing.assert_close(
            inverse(scale * mel, filterbank) / scale, inverse(mel, filterbank), rtol=1e-3, atol=1e-6
        )


@pytest.mark.parametrize("inverse", [entropic, least_distance])
def test_silence_and_single_bands(inverse):
    filterbank = tmi.MelFilterbank("hifigan_22k")
    mel = torch.zeros(80, 3)
    mel[40, 1] = 1
    mel[:, 2] = 1e-30
    with fixed_control_flow():
        spectrum = inverse(mel, filterbank)
    assert torch.isfinite(spectrum).all()
    assert not spectrum[:, 0].any()
    assert spectrum[:, 1].argmax() in filterbank.table[40].nonzero()


@pytest.mark.parametrize("inverse", [entropic, least_distance])
def test_gradients_agree(inverse):
    filterbank, noise = tmi.MelFilterbank("hifigan_22k"), noise_mel("hifigan_22k")
    weight = torch.randn(513, noise.shape[-1])
    grads = []
    for control_flow in (contextlib.nullcontext, fixed_control_flow):
        mel = noise.clone().requires_grad_()
        with control_flow():
            (inverse(mel, filterbank) * weight).sum().backward()
        grads.append(mel.grad.flatten())
    assert float(torch.nn.functional.cosine_similarity(*grads, dim=0)) > 0.99
