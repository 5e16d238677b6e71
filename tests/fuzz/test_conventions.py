"""Malicious JSON files: any values in any fields, huge numbers, deep nesting, other encodings."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome
from tests.tiny import TINY
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.conventions.config_files import read_convention, read_mfcc_convention
from torchmelinv.errors import ConventionError, FileError
from torchmelinv.transforms.mel_filterbank import MelFilterbank

HIFIGAN = {
    "sampling_rate": 22050,
    "n_fft": 1024,
    "win_size": 1024,
    "hop_size": 256,
    "num_mels": 80,
    "fmin": 0,
    "fmax": 8000,
}
MFCC = MfccConvention(mel=TINY, n_mfcc=5)
LEVEL = TINY.level.to_dict()

NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.floats(),
    st.integers(),
    st.sampled_from(
        [
            0,
            -0.0,
            2**20,
            2**31,
            2**53,
            2**63,
            10**30,
            10**400,
            1e-320,
            1e308,
            float("inf"),
            float("nan"),
            True,
        ]
    ),
)
ANY = st.recursive(
    st.one_of(
        NUMBERS,
        st.none(),
        st.text(max_size=12),
        st.sampled_from(["hann", "slaney", "ln", "\ud800", "a\nb", "12"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def changed(base):
    """Return dictionaries like `base` with other values, without some fields, or with more."""
    others = ["audio", "data", "level", "mel", "\x1b[2J", "n_mfcc"]
    fields = st.one_of(st.sampled_from(sorted(base)), st.sampled_from(others))
    values = st.dictionaries(fields, st.one_of(NUMBERS, ANY), min_size=1, max_size=3)
    without = st.sampled_from([None, *sorted(base)]).map(
        lambda name: {key: value for key, value in base.items() if key != name}
    )
    return st.tuples(without, values).map(lambda parts: parts[0] | parts[1])


def check_reading(read, path, content, kind):
    """Return the outcome of reading a convention: a valid record, or a one-line error."""
    path.write_bytes(content)
    result = outcome(lambda: read(path))
    if isinstance(result, kind):
        assert kind.from_json(result.to_json()) == result
        hash(result)
    else:
        assert isinstance(result, ConventionError | FileError)
        assert str(path) in str(result)
        assert "\n" not in str(result)
    return result


@MANY
@pytest.mark.parametrize(
    ("base", "kind"),
    [
        (TINY.to_dict(), MelConvention),
        (HIFIGAN, MelConvention),
        (MFCC.to_dict(), MfccConvention),
    ],
)
def test_any_values(tmp_path, base, kind, many):
    read = read_mfcc_convention if kind is MfccConvention else read_convention
    path = tmp_path / "x.json"

    def check(values):
        text = json.dumps(values)
        from_file = check_reading(read, path, text.encode(), kind)
        if base is not HIFIGAN:
            from_text = outcome(lambda: kind.from_json(text))
            assert isinstance(from_file, kind) == isinstance(from_text, kind)

    fuzz(check, changed(base), 150, many)


@MANY
def test_any_level(tmp_path, many):
    def check(level):
        content = json.dumps({**TINY.to_dict(), "level": level}).encode()
        result = check_reading(read_convention, tmp_path / "x.json", content, MelConvention)
        if isinstance(result, MelConvention):
            assert dataclasses.asdict(result.level) == result.level.to_dict()

    fuzz(check, changed(LEVEL), 150, many)


@MANY
def test_filterbanks_of_valid_conventions(tmp_path, many):
    """A valid convention makes a filterbank, or `MelFilterbank` raises one of our errors."""
    small = st.fixed_dictionaries(dict.fromkeys(("sample_rate", "f_min", "f_max"), NUMBERS))

    def check(values):
        convention = outcome(lambda: MelConvention.from_dict({**TINY.to_dict(), **values}))
        if isinstance(convention, MelConvention):
            outcome(lambda: MelFilterbank(convention))

    fuzz(check, small, 100, many)


@MANY
def test_damaged_files(tmp_path, many):
    def check(content):
        check_reading(read_convention, tmp_path / "x.json", content, MelConvention)

    fuzz(check, damaged(TINY.to_json().encode()), 150, many)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        TINY.to_json().encode("utf-16"),
        b'{"sample_rate": ' * 100_000,
        b"[" * 200_000,
        b'{"n_fft": ' + b"9" * 5000 + b"}",
        b'{"sample_rate": 1e999, "n_fft": 8, "hop_length": 2, "n_mels": 2}',
        b'{"sample_rate": NaN}',
        b'{"\\ud800": 1}',
        json.dumps({"x" * 10**6: 1}).encode(),
        json.dumps({**TINY.to_dict(), "window": "x" * 10**6}).encode(),
        b" " * (2**24 + 1),
        json.dumps({**TINY.to_dict(), "n_fft": 10**12}).encode(),
        json.dumps({**TINY.to_dict(), "n_mels": 10**9}).encode(),
    ],
    ids=range(16),
)
def test_invalid_content_raises(tmp_path, content):
    result = check_reading(read_convention, tmp_path / "x.json", content, MelConvention)
    assert isinstance(result, ConventionError | FileError)
    if content.isascii():
        for kind in (MelConvention, MfccConvention):
            result = outcome(lambda kind=kind: kind.from_json(content.decode()))
            assert isinstance(result, ConventionError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    assert "plain file" in str(outcome(lambda: read_convention(tmp_path / "x.json")))


@pytest.mark.parametrize(
    "values",
    [
        {"sample_rate": 1e-320},
        {"sample_rate": 1e308},
        {"sample_rate": 1, "f_max": 2.2e-309},
        {"n_fft": 2**21},
        {"hop_length": 2**40},
        {"n_mels": 2**22},
        {"filterbank_sample_rate": 10**400},
    ],
)
def test_numbers_beyond_the_size_of_tables_raise(values):
    fields = {**TINY.to_dict(), "f_max": 0, "filterbank_sample_rate": 0, **values}
    with pytest.raises(ConventionError, match="|".join(values)):
        MelConvention.from_dict(fields)


def test_text_is_not_a_sequence_of_numbers():
    for field, value in (("affine", "12"), ("clip", "01"), ("affine", {"1": 0, "2": 0})):
        with pytest.raises(ConventionError, match=field):
            TINY.level.replace(**{field: value})
