"""Records refuse by the field's name, turn numpy's numbers into Python's, and copy with defaults that follow."""

from __future__ import annotations

import numpy as np
import pytest

from torchmelinv.conventions import Level, MelConvention
from torchmelinv.errors import ConventionError

RECORD = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16)


def test_defaults_that_other_fields_determine_follow_a_change():
    changed = RECORD.replace(n_fft=256, sample_rate=16000)
    assert (changed.win_length, changed.filterbank_sample_rate, changed.f_max) == (256, 16000, 8000)
    own = RECORD.replace(win_length=100, f_max=3000).replace(n_fft=256, sample_rate=16000)
    assert (own.win_length, own.f_max) == (100, 3000)


def test_numpys_numbers_become_pythons():
    record = RECORD.replace(n_fft=np.int64(256), f_min=np.float32(20), level=Level(affine=np.array([1.0, 2.0])))
    assert type(record.n_fft) is int
    assert type(record.f_min) is float
    assert record.level.affine == (1.0, 2.0)
    assert MelConvention.from_json(record.to_json()) == record


@pytest.mark.parametrize("wrong", [np.ones(3), "boxcar", 3, None])
def test_one_of_several_words(wrong):
    with pytest.raises(ConventionError, match=r"window.*'hann'"):
        RECORD.replace(window=wrong)
