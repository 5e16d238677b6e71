"""What the project's frozen records share: refusing a field by its name, and the way to and from dictionaries and JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeVar

from torchmelinv.errors import ConventionError, nearest, short

R = TypeVar("R", bound="Record")


def _finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond every float
        return False


class Record:
    """What the records share: refusing with the field's name, and the way to and from plain dictionaries and JSON."""

    def _refuse(self, field: str, allowed: str) -> None:
        raise ConventionError(f"{type(self).__name__}.{field} is {short(getattr(self, field))}; it must be {allowed}")

    def _require(self, field: str, holds: bool, allowed: str) -> None:
        if not holds:
            self._refuse(field, allowed)

    def _one_of(self, field: str, allowed: tuple[Any, ...]) -> None:
        value = getattr(self, field)
        known = (value is None or isinstance(value, str)) and value in allowed
        self._require(field, known, "one of " + ", ".join(map(repr, allowed)))

    def _number(self, field: str, low: float = -math.inf, *, above: bool = False, whole: bool = False) -> None:
        value = getattr(self, field)
        kind = numbers.Integral if whole else numbers.Real
        good = isinstance(value, kind) and not isinstance(value, bool) and _finite(value)
        good = good and (value > low if above else value >= low)
        bound = "" if low == -math.inf else f" {'above' if above else 'of at least'} {low:g}"
        self._require(field, good, f"a {'whole' if whole else 'finite'} number{bound}")
        if not isinstance(value, (int, float)):  # numpy's numbers would be no JSON
            object.__setattr__(self, field, int(value) if whole else float(value))

    def _floats(self, field: str, length: int | None = None) -> None:
        """Turn any sequence of numbers into a tuple of floats, so that the record stays hashable."""
        value = getattr(self, field)
        if value is None:
            return
        try:
            floats = () if isinstance(value, (str, Mapping)) else tuple(float(number) for number in value)
        except (TypeError, ValueError, OverflowError):
            floats = ()
        good = len(floats) > 0 and all(map(math.isfinite, floats)) and length in (None, len(floats))
        self._require(field, good, f"{'a sequence of' if length is None else length} finite numbers")
        object.__setattr__(self, field, floats)

    def replace(self: R, **changes: Any) -> R:
        """A copy with other values in the named fields, validated anew; a field that stands at its default follows.

        Also where that default was stated: state it again to keep it.
        """
        values = self.to_dict()
        for name, default in self._derived().items():
            if values[name] == default:
                values[name] = 0
        return type(self).from_dict({**values, **changes})

    def _derived(self) -> dict[str, float]:
        """Defaults of the fields that other fields determine where they are left at 0, each made of those before it."""
        return {}

    def _derive(self) -> None:
        for name in self._derived():
            if getattr(self, name) in (0, None):
                object.__setattr__(self, name, self._derived()[name])

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of every field, nested records included."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls: type[R], values: Mapping[str, Any]) -> R:
        """The record of these fields; an unknown or missing field is a `ConventionError`."""
        known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise ConventionError(f"{cls.__name__} has no field {short(name)}{nearest(str(name)[:100], known)}")
        missing = [
            name for name, field in known.items() if name not in values and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ConventionError(f"{cls.__name__} needs {', '.join(missing)}, which nobody may guess")
        return cls(**values)

    def to_json(self) -> str:
        """This record as JSON text; `from_json` gives an equal one back."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls: type[R], text: str) -> R:
        """The record of `to_json`'s text."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConventionError(f"this is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ConventionError(f"a convention is a JSON object, not {type(values).__name__}")
        return cls.from_dict(values)
