"""Experiment loggers: which interfaces are recognized, and the picture of mels."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from torchmelinv.loggers import mel_image, writer_for


@pytest.mark.parametrize(
    "logger",
    [
        SimpleNamespace(add_audio=print),
        SimpleNamespace(experiment=SimpleNamespace(add_audio=print)),
        SimpleNamespace(log_artifact=print),
        SimpleNamespace(log=print, Audio=print, Image=print),
    ],
)
def test_loggers_that_take_audio(logger):
    assert writer_for(logger) is not None


@pytest.mark.parametrize("logger", [object(), SimpleNamespace(log=print), None])
def test_loggers_that_take_none(logger):
    assert writer_for(logger) is None


def test_an_image_has_the_lowest_band_at_the_bottom_and_the_scale_of_the_reference():
    reference = torch.tensor([[0.0, 1.0], [2.0, 4.0]])
    image = mel_image(reference + 2, reference)
    assert image.tolist() == [[255, 255], [128, 191], [255] * 2, [255] * 2, [128, 255], [0, 64]]


def test_values_that_are_not_finite_have_no_part_in_the_scale():
    image = mel_image(torch.tensor([[float("nan"), 0.0, 1.0, float("inf")]]), None)
    assert image.tolist() == [[0, 0, 255, 255]]
    assert mel_image(torch.full((1, 1), torch.nan), None).tolist() == [[0]]
