"""`MelInverter(…, restore=…)`: what is restored, when, and what the waveform then has."""

from __future__ import annotations

import pytest
import torch

import torchmelinv as tmi
from tests.restoration.smoothed import NAME, real, smooth
from torchmelinv.functional import mel_to_waveform
from torchmelinv.metrics import mel_error_db
from torchmelinv.restoration import Auto, MelRestoration


def test_a_real_mel_is_inverted_as_it_is():
    exact = tmi.MelInverter(NAME, n_iter=2, restore="none")(real())
    assert torch.equal(tmi.MelInverter(NAME, n_iter=2)(real()), exact)


def test_the_waveform_has_the_restored_mel():
    inverter = tmi.MelInverter(NAME, n_iter=16)
    mel = tmi.MelSpectrogram(NAME).linear_mel(inverter(smooth()))
    restored, given = inverter.to_restored_mel(smooth()), inverter.to_linear_mel(smooth())
    n_frames = mel.shape[-1]
    assert float(mel_error_db(mel, restored[:, :n_frames])) < -25
    assert float(mel_error_db(mel, given[:, :n_frames])) > -20
    by_hand = tmi.MelInverter(NAME, n_iter=16, restore="none")
    expected = by_hand(MelRestoration(NAME)(smooth()))
    torch.testing.assert_close(inverter(smooth()), expected, atol=1e-3, rtol=1e-3)


def test_with_a_gradient_the_default_is_exact():
    mel = smooth()[:, :40].clone().requires_grad_()
    exact = tmi.MelInverter(NAME, n_iter=2, restore="none")
    default = tmi.MelInverter(NAME, n_iter=2)
    assert torch.equal(default(mel), exact(mel))
    restored = tmi.MelInverter(NAME, n_iter=2, restore=Auto())(mel)
    assert not torch.equal(restored, exact(mel))
    with torch.no_grad():
        assert torch.equal(default(mel), restored)
    detached = tmi.MelInverter(NAME, n_iter=2, gradient="none")
    assert torch.equal(detached(mel), restored)
    assert torch.equal(detached.to_restored_mel(mel), default.to_restored_mel(mel.detach()))
    assert torch.equal(default.to_restored_mel(mel), default.to_linear_mel(mel))
    restored.square().sum().backward()
    assert mel.grad is not None
    assert torch.isfinite(mel.grad).all()


def test_the_level_stays():
    for restore in ("auto", "contrast", "unsharp_mask"):
        inverter = tmi.MelInverter(NAME, restore=restore)
        given, restored = inverter.to_linear_mel(smooth()), inverter.to_restored_mel(smooth())
        assert not torch.equal(given, restored)
        assert float(given.norm()) == pytest.approx(float(restored.norm()), rel=1e-4)


def test_padded_batches_are_restored_item_by_item():
    inverter = tmi.MelInverter(NAME, n_iter=2)
    mel = torch.stack([smooth()[:, :60], real()[:, :60]])
    padded = torch.nn.functional.pad(mel, (0, 20), value=1.0)
    result = inverter(padded, lengths=torch.tensor([60, 60]))
    for item, each in zip(result, mel, strict=True):
        assert torch.equal(item[: 60 * 256], inverter(each))


def test_functions_that_promise_the_mel_are_exact():
    magnitude = tmi.functional.mel_to_magnitude(smooth(), NAME)
    exact = tmi.MelInverter(NAME, restore="none").to_magnitude(smooth())
    assert torch.equal(magnitude, exact)
    assert torch.equal(
        mel_to_waveform(smooth(), NAME, n_iter=2, restore="contrast"),
        tmi.MelInverter(NAME, n_iter=2, restore="contrast")(smooth()),
    )


def test_restore_is_read_only():
    inverter = tmi.MelInverter(NAME, restore="none")
    with pytest.raises(AttributeError, match="restore is read-only"):
        inverter.restore = "auto"
