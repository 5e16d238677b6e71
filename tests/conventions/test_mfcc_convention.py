"""Conventions of MFCCs: errors name each wrong value, and copies are equal."""

from __future__ import annotations

import copy
import json
import pickle
import re
from typing import Any

import numpy as np
import pytest

from tests.conventions.wrong_fields import BASE, cases
from torchmelinv.conventions import MfccConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import ConventionError

WRONG = [
    ("mel", (3, None, "hifigan_22k"), "a MelConvention"),
    ("n_mfcc", (0, 81, 13.0, None), ""),
    ("norm", ("slaney", 1, "ORTHO"), "'ortho', None"),
    ("lifter", (-1, None, float("inf"), "22"), "finite number ≥ 0"),
    ("lifter_start", (-1, 2, 0.5, None), ""),
]


@pytest.mark.parametrize(("field", "value", "words"), cases(WRONG))
def test_a_wrong_field_of_mfccs_is_named(field: str, value: Any, words: str) -> None:
    mel = {**BASE, "level": {"log": "ln", "floor": 1e-5}}
    message = re.escape(f"MfccConvention.{field} is {value!r}; it must be ")
    with pytest.raises(ConventionError, match=message) as caught:
        MfccConvention(**{"mel": mel, "n_mfcc": 13, field: value})
    assert words in str(caught.value)


def test_mfcc_conventions_survive_json_copy_and_pickle() -> None:
    convention = MfccConvention(
        mel=preset("hifigan_22k"), n_mfcc=np.int64(13), norm=None, lifter=np.float32(22)
    )
    for copied in (
        MfccConvention.from_json(convention.to_json()),
        MfccConvention.from_dict(convention.to_dict()),
        convention.replace(),
        copy.deepcopy(convention),
        pickle.loads(pickle.dumps(convention)),
    ):
        assert copied == convention
        assert hash(copied) == hash(convention)
    assert json.loads(convention.to_json())["mel"] == json.loads(preset("hifigan_22k").to_json())
    with pytest.raises(ConventionError, match="MfccConvention needs n_mfcc"):
        MfccConvention.from_dict({"mel": preset("hifigan_22k")})
