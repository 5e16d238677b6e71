"""The base class of the conventions: validation with the field's name, dictionaries and JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from torchmelinv._utils.text import unique_keys
from torchmelinv.errors import ConventionError, nearest, short

R = TypeVar("R", bound="ValidatedRecord")


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the range of floats
        return False


def finite_floats(values: Any) -> tuple[float, ...]:
    """Return a sequence of finite numbers as a tuple of floats, anything else as an empty tuple."""
    if isinstance(values, (str, Mapping)):
        return ()
    try:
        floats = tuple(float(number) for number in values)
    except (TypeError, ValueError, OverflowError):
        return ()
    return floats if all(map(math.isfinite, floats)) else ()


def named_fields(cls: type[R]) -> type[R]:
    """Make the constructor raise `ConventionError` for an unknown field, as `from_dict` does."""
    construct: Any = cls.__init__

    @functools.wraps(construct)
    def checked(self: R, *args: Any, **kwargs: Any) -> None:
        cls._check_names(kwargs)
        construct(self, *args, **kwargs)

    cls.__init__ = checked  # type: ignore[assignment, method-assign]
    return cls


class ValidatedRecord:
    """Base class of frozen dataclasses that validate their fields.

    A subclass calls the helpers `_require`, `_require_one_of`, `_require_number`,
    `_require_flag`, `_require_floats` and `_require_record` in ``__post_init__``. Each raises a
    `ConventionError` that names the field, its value and what is allowed.
    """

    def _require(self, field: str, holds: bool, allowed: str) -> None:
        if not holds:
            value = short(getattr(self, field))
            raise ConventionError(f"{type(self).__name__}.{field} is {value}; it must be {allowed}")

    def _require_one_of(self, field: str, allowed: tuple[Any, ...]) -> None:
        value = getattr(self, field)
        valid = (value is None or isinstance(value, str)) and value in allowed
        self._require(field, valid, "one of " + ", ".join(map(repr, allowed)))

    def _require_flag(self, field: str) -> None:
        self._require(field, isinstance(getattr(self, field), bool), "True or False")

    def _require_number(
        self, field: str, low: float = -math.inf, *, above: bool = False, whole: bool = False
    ) -> None:
        value = getattr(self, field)
        kind = numbers.Integral if whole else numbers.Real
        valid = isinstance(value, kind) and not isinstance(value, bool) and _is_finite(value)
        valid = valid and (value > low if above else value >= low)
        bound = "" if low == -math.inf else f" {'above' if above else '≥'} {low:g}"
        self._require(field, valid, f"{'an integer' if whole else 'a finite number'}{bound}")
        if not isinstance(value, (int, float)):  # NumPy's numbers cannot be written as JSON
            object.__setattr__(self, field, int(value) if whole else float(value))

    def _require_floats(self, field: str, length: int | None = None) -> None:
        """Turn a sequence of numbers into a tuple of floats, which keeps the record hashable."""
        value = getattr(self, field)
        if value is None:
            return
        floats = finite_floats(value)
        count = "a sequence of" if length is None else length
        valid = len(floats) > 0 and length in (None, len(floats))
        self._require(field, valid, f"{count} finite numbers")
        object.__setattr__(self, field, floats)

    def _require_record(self, field: str, kind: type[ValidatedRecord], name: str) -> None:
        """Turn a dictionary of fields into a record of this kind."""
        value = getattr(self, field)
        if isinstance(value, Mapping):
            object.__setattr__(self, field, kind.from_dict(value))
        valid = isinstance(getattr(self, field), kind)
        self._require(field, valid, f"{name} or a dictionary of its fields")

    def replace(self: R, **changes: Any) -> R:
        """Return a validated copy with some fields changed.

        A field whose default depends on other fields follows their changes if it has that default,
        even where the default was passed explicitly. Pass such a field again to keep its value.

        Args:
            **changes: New values of fields, by name.

        Returns:
            A new record of the same class.

        Raises:
            ConventionError: If there is no such field, or its value is not allowed.

        Example:
            >>> import torchmelinv as tmi
            >>> convention = tmi.STFTConvention(n_fft=1024, hop_length=256)
            >>> convention.replace(n_fft=2048).win_length
            2048
        """
        values = self.to_dict()
        for name, default in self._dependent_defaults().items():
            if values[name] == default:
                values[name] = 0
        return type(self).from_dict({**values, **changes})

    def _dependent_defaults(self) -> dict[str, float]:
        """Return the defaults of fields that depend on other fields, in the order of dependence.

        They apply where the field is 0 or None.
        """
        return {}

    def _fill_dependent_defaults(self) -> None:
        for name in self._dependent_defaults():
            if getattr(self, name) in (0, None):
                object.__setattr__(self, name, self._dependent_defaults()[name])

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a plain dictionary, nested records included.

        Returns:
            Dictionary from which `from_dict` makes an equal record.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.Compression(log="ln", floor=1e-5).to_dict()["floor"]
            1e-05
        """
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def _check_names(cls, names: Iterable[Any]) -> None:
        fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in names:
            if name not in fields:
                hint = nearest(str(name)[:100], fields) or f"; it has {', '.join(fields)}"
                raise ConventionError(f"{cls.__name__} has no field {short(name)}{hint}")

    @classmethod
    def from_dict(cls: type[R], values: Mapping[str, Any]) -> R:
        """Make a record from a dictionary of its fields.

        Args:
            values: Values by field name. A nested record may be a dictionary as well.

        Returns:
            The record.

        Raises:
            ConventionError: If a field is unknown, missing or invalid.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.Compression.from_dict({"log": "ln", "floor": 1e-5}).multiplier
            1.0
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        cls._check_names(values)
        missing = [
            name
            for name, field in fields.items()
            if name not in values
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ConventionError(f"{cls.__name__} needs {', '.join(missing)} (no default)")
        return cls(**values)

    def to_json(self) -> str:
        """Return this record as JSON text.

        Returns:
            Text from which `from_json` makes an equal record.

        Example:
            >>> import torchmelinv as tmi
            >>> convention = tmi.preset("hifigan_22k")
            >>> tmi.MelConvention.from_json(convention.to_json()) == convention
            True
        """
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls: type[R], text: str) -> R:
        """Make a record from JSON text, as `to_json` writes it.

        Args:
            text: A JSON object of the fields.

        Returns:
            The record.

        Raises:
            ConventionError: If the text is not JSON, or a field is unknown, missing or invalid.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.STFTConvention.from_json('{"n_fft": 1024, "hop_length": 256}').win_length
            1024
        """
        try:
            values = json.loads(text, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError) as error:
            raise ConventionError(f"this is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ConventionError(f"a convention is a JSON object, not {type(values).__name__}")
        return cls.from_dict(values)
