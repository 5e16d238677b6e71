"""The errors and warnings of the project: each says what came, what is allowed and what to do."""

import difflib
from collections.abc import Iterable


class TorchmelinvError(Exception):
    """Root of everything that torchmelinv raises on purpose; catch this to catch all of it."""


class ConventionError(TorchmelinvError, ValueError):
    """A mel convention that cannot exist, is unknown, or lacks numbers that only its user has."""


class InputError(TorchmelinvError, ValueError):
    """A tensor or an option that does not fit: shape, dtype, device, range or values."""


class FileError(TorchmelinvError, OSError):
    """A file that cannot be read, understood or written."""


class DependencyError(TorchmelinvError, ImportError):
    """An optional package that is missing or cannot load here; the message names the fix."""


class LevelWarning(UserWarning):
    """The values of a mel look as if they were made by another convention."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'x' or 'y'?"` with the allowed words closest to `word`, or nothing."""
    known = list(allowed)
    close = difflib.get_close_matches(word.lower(), known, n=3, cutoff=0.5)
    close = [name for name in known if word and name.startswith(word.lower())][:3] or close
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def short(value: object) -> str:
    """`repr(value)`, cut where it is no longer for reading."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits; what is nested too deeply
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"
