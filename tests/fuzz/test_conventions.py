"""JSON that lies about conventions: any values in any fields, huge numbers, deep nesting, other encodings."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome
from tests.tiny import TINY
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.errors import ConventionError, FileError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.interchange import as_mfcc_convention, read_convention

HIFIGAN = {"sampling_rate": 22050, "n_fft": 1024, "win_size": 1024, "hop_size": 256, "num_mels": 80, "fmin": 0, "fmax": 8000}
MFCC = MfccConvention(mel=TINY, n_mfcc=5)
LEVEL = TINY.level.to_dict()

NUMBERS = st.one_of(
    st.integers(-3, 300), st.floats(), st.integers(),
    st.sampled_from([0, -0.0, 2**20, 2**31, 2**53, 2**63, 10**30, 10**400, 1e-320, 1e308, float("inf"), float("nan"), True]),
)
ANY = st.recursive(
    st.one_of(NUMBERS, st.none(), st.text(max_size=12), st.sampled_from(["hann", "slaney", "ln", "\ud800", "a\nb", "12"])),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=5), inner, max_size=3)), max_leaves=6,
)


def changed(base):
    """Some fields of a dictionary with any other values, without some, or with more."""
    others = ["audio", "data", "level", "mel", "\x1b[2J", "n_mfcc"]
    fields = st.one_of(st.sampled_from(sorted(base)), st.sampled_from(others))
    values = st.dictionaries(fields, st.one_of(NUMBERS, ANY), min_size=1, max_size=3)
    without = st.sampled_from([None, *sorted(base)]).map(lambda name: {key: value for key, value in base.items() if key != name})
    return st.tuples(without, values).map(lambda parts: parts[0] | parts[1])


def looked_at(read, path, content, kind):
    path.write_bytes(content)
    found = outcome(lambda: read(path))
    if isinstance(found, kind):
        again = kind.from_json(found.to_json())
        assert again == found
        hash(found)
    else:
        assert isinstance(found, ConventionError | FileError)
        assert str(path) in str(found)
        assert "\n" not in str(found)
    return found


@MANY
@pytest.mark.parametrize(("base", "kind"), [
    (TINY.to_dict(), MelConvention), (HIFIGAN, MelConvention), (MFCC.to_dict(), MfccConvention),
])
def test_any_values(tmp_path, base, kind, many):
    read = as_mfcc_convention if kind is MfccConvention else read_convention
    path = tmp_path / "x.json"

    def check(values):
        text = json.dumps(values)
        found = looked_at(read, path, text.encode(), kind)
        assert isinstance(found, kind) == isinstance(outcome(lambda: kind.from_json(text)), kind) or base is HIFIGAN

    fuzz(check, changed(base), 150, many)


@MANY
def test_any_level(tmp_path, many):
    def check(level):
        content = json.dumps({**TINY.to_dict(), "level": level}).encode()
        found = looked_at(read_convention, tmp_path / "x.json", content, MelConvention)
        if isinstance(found, MelConvention):
            assert dataclasses.asdict(found.level) == found.level.to_dict()

    fuzz(check, changed(LEVEL), 150, many)


@MANY
def test_tables_of_whatever_passes(tmp_path, many):
    """A convention that is taken makes a finite filterbank, or is refused then."""
    small = st.fixed_dictionaries(dict.fromkeys(("sample_rate", "f_min", "f_max"), NUMBERS))

    def check(values):
        found = outcome(lambda: MelConvention.from_dict({**TINY.to_dict(), **values}))
        if isinstance(found, MelConvention):
            outcome(lambda: MelFilterbank(found))

    fuzz(check, small, 100, many)


@MANY
def test_damaged(tmp_path, many):
    path, whole = tmp_path / "x.json", TINY.to_json().encode()
    fuzz(lambda content: looked_at(read_convention, path, content, MelConvention), damaged(whole), 150, many)


@pytest.mark.parametrize("content", [
    b"", b"null", b"[]", b"\xff\xfe", TINY.to_json().encode("utf-16"), b'{"sample_rate": ' * 100_000, b"[" * 200_000,
    b'{"n_fft": ' + b"9" * 5000 + b"}",
    b'{"sample_rate": 1e999, "n_fft": 8, "hop_length": 2, "n_mels": 2}', b'{"sample_rate": NaN}', b'{"\\ud800": 1}',
    json.dumps({"x" * 10**6: 1}).encode(), json.dumps({**TINY.to_dict(), "window": "x" * 10**6}).encode(), b" " * (2**24 + 1),
    json.dumps({**TINY.to_dict(), "n_fft": 10**12}).encode(), json.dumps({**TINY.to_dict(), "n_mels": 10**9}).encode(),
], ids=range(16))
def test_one_word_for_each(tmp_path, content):
    assert isinstance(looked_at(read_convention, tmp_path / "x.json", content, MelConvention), ConventionError | FileError)
    if content.isascii():
        assert isinstance(outcome(lambda: MelConvention.from_json(content.decode())), ConventionError)
        assert isinstance(outcome(lambda: MfccConvention.from_json(content.decode())), ConventionError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    assert "plain file" in str(outcome(lambda: read_convention(tmp_path / "x.json")))


@pytest.mark.parametrize("values", [
    {"sample_rate": 1e-320}, {"sample_rate": 1e308}, {"sample_rate": 1, "f_max": 2.2e-309}, {"n_fft": 2**21},
    {"hop_length": 2**40}, {"n_mels": 2**22}, {"filterbank_sample_rate": 10**400},
])
def test_numbers_that_no_table_has_room_for(values):
    with pytest.raises(ConventionError, match="|".join(values)):
        MelConvention.from_dict({**TINY.to_dict(), "f_max": 0, "filterbank_sample_rate": 0, **values})


def test_text_is_no_sequence_of_numbers():
    for field, value in (("affine", "12"), ("clip", "01"), ("affine", {"1": 0, "2": 0})):
        with pytest.raises(ConventionError, match=field):
            TINY.level.replace(**{field: value})
