"""Every public name says what it takes and gives: shapes, units, whose numbers they are, and the paper."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

import pytest
from torch import nn

import torchmelinv
from torchmelinv import functional, phases, plot
from torchmelinv.compat import librosa, torchaudio
from torchmelinv.measure import losses

SHAPE = re.compile(r"\((…|n_|items)")
YEAR = re.compile(r"\b(19|20)\d\d\b")
# What is the same everywhere and is told once, by the modules and in README.
COMMON = {"frame", "filterbank", "convention", "lengths", "length", "n_iter", "reference", "mel", "magnitude", "waveform", "mfcc",
          "spectrum", "level", "mask", "path", "name", "options", "start_waveform", "transform", "prior", "sample_rate",
          "others", "device", "values", "seed", "title"}  # fmt: skip


def _names(module: ModuleType) -> dict[str, Any]:
    """What a module offers that is made here and is no module."""
    found = {name: value for name, value in vars(module).items() if not name.startswith("_") and callable(value)}
    return {name: value for name, value in found.items() if str(getattr(value, "__module__", "")).startswith("torchmelinv")}


def _own(module: ModuleType) -> dict[str, Any]:
    """What is made in this very module."""
    return {name: value for name, value in _names(module).items() if value.__module__ == module.__name__}


LOSSES = {name: value for name, value in _own(losses).items() if inspect.isclass(value)}
PUBLIC = {**_names(torchmelinv), **_names(functional), **_names(phases), **LOSSES, **_own(plot)}
DROP_INS = {f"{module.__name__}.{name}": value for module in (librosa, torchaudio) for name, value in _own(module).items()}
MODULES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value) and issubclass(value, nn.Module)}


def _said(value: Any) -> str:
    """Its docstring and, of a module, that of its call."""
    words = [inspect.getdoc(value)]
    if inspect.isclass(value) and issubclass(value, nn.Module):
        words.append(inspect.getdoc(value.forward))
    return "\n".join(filter(None, words))


@pytest.mark.parametrize("name", PUBLIC)
def test_it_says_something_of_its_own(name: str):
    own = vars(PUBLIC[name]).get("__doc__") if inspect.isclass(PUBLIC[name]) else PUBLIC[name].__doc__
    assert own, name
    assert len(own) >= 40
    assert own.rstrip().endswith((".", ":", ")")), own[-40:]


@pytest.mark.parametrize("name", [*_names(functional), *MODULES])
def test_what_takes_tensors_says_their_shapes(name: str):
    assert SHAPE.search(_said(PUBLIC[name])), _said(PUBLIC[name])


@pytest.mark.parametrize("name", DROP_INS)
def test_drop_ins_name_their_model_and_the_shapes(name: str):
    theirs = name.removeprefix("torchmelinv.compat.").split(".")
    text = _said(DROP_INS[name])
    assert re.match(rf"`{theirs[0]}(\.\w+)*\.{theirs[1]}`[:.]", text), text
    assert re.search(r"\(….*->|\(…, n_mfcc, n\)|\(m, n\).*->", text, re.DOTALL), text


@pytest.mark.parametrize("name", ["MelInverter", "MelAnalyzer", "StreamingInverter", "compare_mels"])
def test_doors_name_their_errors(name: str):
    assert "`InputError`" in _said(PUBLIC[name])


@pytest.mark.parametrize("name", [name for name in _names(functional) if name.endswith("_db")])
def test_decibels_say_so_and_which_way_is_better(name: str):
    text = _said(PUBLIC[name])
    assert "dB" in text
    assert re.search(r"lower|higher|inconsistency|how far|error|convergence", text, re.IGNORECASE), text


@pytest.mark.parametrize("name", [
    name for name in PUBLIC if inspect.isfunction(PUBLIC[name]) and not name.startswith("from_")  # other libraries' own words
])
def test_every_number_that_can_be_given_is_told(name: str):
    """By its own docstring, that of a public name which it points to, or that of the record beside it."""
    value = PUBLIC[name]
    text = _said(value)
    pointed = [PUBLIC[each] for each in re.findall(r"`(\w+)[^`]*`", text) if each in PUBLIC]
    beside = vars(inspect.getmodule(value)).values()
    records = [each for each in _names(phases).values() if inspect.isclass(each) and each in beside]
    text = "\n".join([text, *map(_said, [*pointed, *records])])
    missing = [each for each in inspect.signature(value).parameters if each not in COMMON and not re.search(rf"\b{each}\b", text)]
    assert missing == []


@pytest.mark.parametrize("name", [
    name for name, value in PUBLIC.items()
    if re.match(r"torchmelinv\.(phase|joint)\.|torchmelinv\.magnitude\.(nnls|entropic|least_distance)", value.__module__)
    and name not in ("PhaseMethod", "Then", "start_angles")
])  # fmt: skip
def test_a_method_names_its_paper(name: str):
    assert YEAR.search(_said(PUBLIC[name]) + (inspect.getmodule(PUBLIC[name]).__doc__ or "")), name
