"""The size of a gradient: what it says of functions whose Jacobian is known, and of the inversion."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.measure.gradient import gradient_norm


def test_of_known_jacobians():
    mel = 1 + torch.rand(3, 40, 50, dtype=torch.float64)
    unit = gradient_norm(lambda m: m.flatten(-2), mel) * torch.linalg.vector_norm(mel, dim=(-2, -1))  # J = 1
    assert unit[0] == pytest.approx(2000**0.5, rel=0.05)  # ‖v‖ of 2000 samples is 2000^½ (1 ± 1 / 4000^½)
    mixed = torch.randn(2000, 2000, dtype=torch.float64)
    found = gradient_norm(lambda m: m.flatten(-2) @ mixed, mel)
    norms = torch.linalg.matrix_norm(mixed) / torch.linalg.vector_norm(mel.flatten(-2) @ mixed, dim=-1)
    torch.testing.assert_close(found, norms, rtol=0.05, atol=0)
    torch.testing.assert_close(gradient_norm(lambda m: 7e5 * m.flatten(-2) @ mixed, mel), found)


def test_silence_and_no_gradient_are_zero():
    mel = torch.rand(2, 4, 5)
    assert (gradient_norm(lambda m: 0 * m.flatten(-2), mel) == 0).all()
    assert (gradient_norm(lambda m: m.detach().flatten(-2), mel) == 0).all()


def test_an_item_alone_has_the_same_and_the_mel_is_left_alone():
    mel = MelAnalyzer(TINY_LOG)(tones(640, (3,)))
    inverter = MelInverter(TINY_LOG, n_iter=4)
    with torch.no_grad():
        together = gradient_norm(inverter, mel)
    torch.testing.assert_close(gradient_norm(inverter, mel[1]), together[1])
    assert mel.grad is None
    assert torch.equal(gradient_norm(inverter, mel), together)
    assert not torch.equal(gradient_norm(inverter, mel, seed=1), together)
    with torch.inference_mode():  # as in Lightning's validation, whose tensors no graph can save
        assert torch.equal(gradient_norm(inverter, mel.clone()), together)


def test_momentum_and_iterations_make_it_grow_and_a_detached_phase_does_not():
    """What README says of the modes."""
    mel = MelAnalyzer(TINY_LOG)(tones(1600, dtype=torch.float64))

    def norm(n_iter, **options):
        return float(gradient_norm(MelInverter(TINY_LOG, n_iter=n_iter, **options), mel))

    assert norm(32) > 3 * norm(4)
    assert norm(32, momentum=0.5) < norm(32) / 2
    assert norm(32, gradient="phase_detached") < 1.2 * norm(4, gradient="phase_detached")
    assert norm(32, gradient=2) < norm(32) / 2


def test_refusals():
    with pytest.raises(InputError, match="must give waveforms"):
        gradient_norm(lambda m: m.sum(), torch.rand(2, 4, 5))
    with pytest.raises(InputError, match="mel"):
        gradient_norm(lambda m: m, torch.zeros(4, 5, dtype=torch.long))
    with pytest.raises(InputError, match="seed"):
        gradient_norm(lambda m: m.flatten(-2), torch.rand(4, 5), seed=0.5)
