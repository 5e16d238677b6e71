"""Presets: the mel conventions of published models, by name, and the one door for everything that names a convention."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import ConventionError, nearest
from torchmelinv.interchange import read_convention
from torchmelinv.preset_table import ROWS, Row

_TABLE = {row.name: row for row in ROWS}


def preset_names() -> tuple[str, ...]:
    """The names of all presets, model families side by side."""
    return tuple(_TABLE)


def about(name: str) -> Row:
    """Where a preset's values were read, and what its mel has lost (`Row.note`)."""
    row = _TABLE.get(name) if isinstance(name, str) else None
    if row is None:
        hint = f"preset_names() or `torchmelinv presets` names all {len(_TABLE)}"
        raise ConventionError(f"there is no preset {name!r}{nearest(str(name), _TABLE)} ({hint})")
    return row


def preset(
    name: str, *, model_space: bool = False, band_mean: Iterable[float] | None = None, band_scale: Iterable[float] | None = None,
    **changes: Any,
) -> MelConvention:
    """The convention of a published model: the mel as the model's own mel function returns it.

    `model_space=True` adds what the acoustic model normalises further, where it does (else nothing changes). Some models do that
    with statistics of their training set; then `band_mean` and `band_scale` (n_mels numbers each) are needed and
    `ConventionError` says which file holds them. They may be given with any preset: (x − band_mean) / band_scale comes last.

    `changes` replace fields of the row before defaults are filled in, so that a row without `f_max` follows
    a new `sample_rate`; `level` is replaced as a whole.
    """
    row = about(name)
    convention = MelConvention.from_dict({**row.fields, **changes})
    statistics = {"band_mean": band_mean, "band_scale": band_scale}
    given = {field: value for field, value in statistics.items() if value is not None}
    missing = [field for field in row.needs if field not in given]
    if model_space and missing:
        raise ConventionError(
            f"the model space of {name!r} needs {' and '.join(missing)}, {convention.n_mels} numbers each; they are not ours to "
            f"ship, but {row.statistics}: preset({name!r}, model_space=True, {', '.join(f'{field}=...' for field in row.needs)})"
        )
    level = {**(row.model_space if model_space else {}), **given}
    return convention.replace(level={**convention.level.to_dict(), **level}) if level else convention


def as_convention(convention: MelConvention | str | os.PathLike[str]) -> MelConvention:
    """The convention that is meant: a record as it is, a preset's name, or the path of a .json file (`read_convention`)."""
    if isinstance(convention, MelConvention):
        return convention
    if isinstance(convention, os.PathLike):
        return read_convention(convention)
    if not isinstance(convention, str):
        raise ConventionError(
            f"a convention is a MelConvention, a preset's name or the path of a .json file, not {type(convention).__name__}"
        )
    if convention not in _TABLE and convention.lower().endswith(".json"):
        return read_convention(convention)
    return preset(convention)
