"""Auto: nothing for real mels, most of a filter undone."""

from __future__ import annotations

import torch

from tests.restoration.smoothed import (
    NAME,
    distance,
    real,
    smooth,
)
from torchmelinv.restoration import (
    MelRestoration,
)


def test_auto_leaves_a_real_mel_as_it_is_and_undoes_a_filter():
    restore = MelRestoration(NAME)
    assert torch.equal(restore(real()), real())
    assert distance(restore(smooth())) < 0.9 * distance(smooth())
