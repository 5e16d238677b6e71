"""Records name a wrong field, convert NumPy's numbers, and update dependent defaults."""

from __future__ import annotations

import numpy as np
import pytest

from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.errors import ConventionError

RECORD = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16)


def test_dependent_defaults_follow_a_change():
    changed = RECORD.replace(n_fft=256, sample_rate=16000)
    assert (changed.win_length, changed.filterbank_sample_rate, changed.f_max) == (256, 16000, 8000)
    explicit = RECORD.replace(win_length=100, f_max=3000).replace(n_fft=256, sample_rate=16000)
    assert (explicit.win_length, explicit.f_max) == (100, 3000)


def test_numpy_numbers_become_python_numbers():
    record = RECORD.replace(
        n_fft=np.int64(256), f_min=np.float32(20), level=Compression(affine=np.array([1.0, 2.0]))
    )
    assert type(record.n_fft) is int
    assert type(record.f_min) is float
    assert record.level.affine == (1.0, 2.0)
    assert MelConvention.from_json(record.to_json()) == record


@pytest.mark.parametrize("wrong", [np.ones(3), "boxcar", 3, None])
def test_a_wrong_name_raises_with_the_allowed_names(wrong):
    with pytest.raises(ConventionError, match=r"window.*'hann'"):
        RECORD.replace(window=wrong)
