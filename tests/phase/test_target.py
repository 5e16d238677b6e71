"""The magnitude target: its distance, its projection and its gradients."""

from __future__ import annotations

import torch

from tests.problems import tones
from torchmelinv.phase.target import MagnitudeTarget

F64 = torch.float64
MAGNITUDE = tones(5 * 33, (2,), F64).abs().reshape(2, 5, 33)


def random_spectrum() -> torch.Tensor:
    return torch.randn_like(MAGNITUDE, dtype=torch.complex128)


def test_the_distance_is_relative_to_the_magnitude():
    spectrum = random_spectrum()
    difference = (spectrum.abs() - MAGNITUDE).flatten(1)
    expected = difference.norm(dim=1) / MAGNITUDE.flatten(1).norm(dim=1)
    torch.testing.assert_close(MagnitudeTarget(MAGNITUDE).distance(spectrum)[:, 0], expected)
    silent = MagnitudeTarget(torch.zeros_like(MAGNITUDE))
    assert silent.distance(spectrum).tolist() == [[0], [0]]


def test_impose_keeps_the_angles():
    target, spectrum = MagnitudeTarget(MAGNITUDE), random_spectrum()
    imposed = target.impose(spectrum.clone())
    torch.testing.assert_close(imposed, torch.polar(MAGNITUDE, spectrum.angle()))
    zero = torch.zeros(2, 1, dtype=F64)
    torch.testing.assert_close(target.distance(imposed), zero, atol=1e-12, rtol=0)


def test_vjp_is_the_gradient_of_impose():
    spectrum, magnitude = random_spectrum().requires_grad_(), MAGNITUDE.clone().requires_grad_()
    target, grad = MagnitudeTarget(magnitude), random_spectrum()
    expected = torch.autograd.grad(target.impose(spectrum), (spectrum, magnitude), grad)
    result = target.vjp(spectrum.detach(), grad)
    torch.testing.assert_close(result, expected)


def test_with_values_is_a_target_for_other_frames():
    target, spectrum = MagnitudeTarget(MAGNITUDE), random_spectrum()
    expected = target.impose(spectrum.clone())[:, 1:3]
    imposed = target.with_values(MAGNITUDE[:, 1:3]).impose(spectrum[:, 1:3].clone())
    torch.testing.assert_close(imposed, expected)


def test_the_kernels_get_the_magnitude_without_gradient():
    values = MAGNITUDE.clone().requires_grad_()
    assert not MagnitudeTarget(values).cuda_args().requires_grad
