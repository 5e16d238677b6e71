"""Decorators: no autocast inside, tables for autograd, vector-Jacobian products."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from torchmelinv._utils.precision import (
    backward_fp32_once,
    differentiable_vjp,
    full_precision,
    outside_inference_mode,
)
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.transforms.mel_filterbank import band_edges, mel_matrix
from torchmelinv.transforms.stft_plan import stft_plan


def test_autocast_is_off_inside():
    matrix = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        assert full_precision(torch.matmul)(matrix, other=matrix).dtype == torch.float32


def test_tables_are_no_inference_tensors():
    with torch.inference_mode():
        assert not outside_inference_mode(torch.ones)(3).is_inference()
        assert torch.ones(3).is_inference()


def test_backward_runs_outside_autocast_and_has_no_derivative():
    backward = backward_fp32_once(lambda ctx, grad: grad @ grad)
    matrix = torch.rand(3, 3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert backward(None, matrix).dtype == torch.float32
    with pytest.raises(InputError, match="no second derivative"):
        backward(None, matrix)


def test_differentiable_vjp_can_be_differentiated():
    x = torch.tensor(2.0, requires_grad=True)
    y = x.square()  # depends on x, but not through the function
    constant = torch.tensor(5.0)
    grads = differentiable_vjp(lambda a, b, c: a**3 * b * c, (x, y, constant), torch.tensor(1.0))
    assert grads[2] is None
    torch.testing.assert_close(grads[0].detach(), torch.tensor(3 * 4 * 4 * 5.0))
    torch.testing.assert_close(grads[1].detach(), torch.tensor(8 * 5.0))
    # d/dx of 3 x² y · 5 with y = x²
    (second,) = torch.autograd.grad(grads[0], x)
    torch.testing.assert_close(second, torch.tensor(60 * 2.0**3))


def test_tables_built_in_a_mode_serve_later_calls():
    """A pass with fake tensors left them in the caches, and real calls failed afterwards."""
    convention = MelConvention(sample_rate=8000, n_fft=72, hop_length=18, n_mels=7)
    with FakeTensorMode(), contextlib.suppress(AssertionError):  # real tables and fake input
        MelSpectrogram(convention)(torch.randn(400))
    assert type(MelSpectrogram(convention)(torch.randn(400))) is torch.Tensor


def test_tables_do_not_follow_the_default_device():
    convention = MelConvention(sample_rate=8000, n_fft=76, hop_length=19, n_mels=7)
    with torch.device("meta"):
        edges, matrix = band_edges(convention), mel_matrix(convention)
        plan = stft_plan(convention.stft, 5, 100, torch.float32, torch.device("cpu"))
    assert {edges.device.type, matrix.device.type, plan.window.device.type} == {"cpu"}
    assert plan.inverse_sumsquare.isfinite().all()
