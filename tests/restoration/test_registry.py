"""Restorations by name, and what holds for all of them."""

from __future__ import annotations

import pytest
import torch

import torchmelinv as tmi
from tests.restoration.smoothed import (
    CONVENTION,
    NAME,
    NAMES,
    all_restorations,
    distance,
    real,
    smooth,
)
from torchmelinv.errors import InputError
from torchmelinv.restoration import (
    MelRestoration,
)
from torchmelinv.restoration.registry import RESTORATIONS, as_restoration, restore_linear_mel


@pytest.mark.parametrize("name", NAMES)
def test_a_smoothed_mel_comes_closer_to_the_real_one(name):
    restored = MelRestoration(NAME, all_restorations()[name])(smooth())
    assert restored.shape == smooth().shape
    assert distance(restored) < distance(smooth())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-11.5, -30.0, 2.0])
def test_constants_and_single_frames_stay_finite(name, value):
    restoration = all_restorations()[name]
    for shape in ((80, 1), (80, 3), (2, 80, 40)):
        linear = torch.full(shape, value).exp()
        result = restore_linear_mel(restoration, linear, None, CONVENTION)
        assert torch.isfinite(result).all()
        silent = restore_linear_mel(restoration, torch.zeros(shape), None, CONVENTION)
        assert not silent.any()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_and_pass(name):
    restoration = all_restorations()[name]
    for linear in (smooth()[:, :60].exp(), torch.rand(80, 60), torch.zeros(80, 60)):
        linear = linear.clone().requires_grad_()
        restore_linear_mel(restoration, linear, None, CONVENTION).sum().backward()
        assert linear.grad is not None
        assert torch.isfinite(linear.grad).all()
        assert bool(linear.grad.any())


def test_doubling_a_mel_doubles_the_restored_one():
    linear = smooth().exp()
    for restoration in all_restorations().values():
        once = restore_linear_mel(restoration, linear, None, CONVENTION)
        twice = restore_linear_mel(restoration, 2 * linear, None, CONVENTION)
        torch.testing.assert_close(twice, 2 * once, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_raised_by_more_than_13_db(name):
    log_mel = torch.full((80, 120), -11.5)
    log_mel[:, 60:] = real()[:, :60]
    restoration = all_restorations()[name]
    restored = restore_linear_mel(restoration, log_mel.exp(), None, CONVENTION).log()
    assert float((restored - log_mel).max()) <= 1.5 + 1e-4


def test_the_names_are_those_of_the_inverter():
    for name, kind in RESTORATIONS.items():
        assert type(as_restoration(name, CONVENTION)) is (kind or type(None))
        assert tmi.MelInverter(NAME, restore=name).restore == name


def test_refusals():
    with pytest.raises(InputError, match=r"restore is 'autp'.*did you mean 'auto'"):
        as_restoration("autp", CONVENTION)
    with pytest.raises(InputError, match="restore is 3"):
        tmi.MelInverter(NAME, restore=3)
