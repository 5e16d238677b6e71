"""Errors and warnings. Each message states what came, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConventionError",
    "DependencyError",
    "DiskError",
    "EmptyFilterWarning",
    "FileError",
    "FileWarning",
    "InputError",
    "MelValueWarning",
    "TorchmelinvError",
]


class TorchmelinvError(Exception):
    """Base class of the errors that torchmelinv raises deliberately.

    Each subclass also derives from the built-in error that fits it, so that ``except ValueError``
    keeps working.

    Example:
        >>> import torchmelinv as tmi
        >>> try:
        ...     tmi.MelInverter("hifigan")
        ... except tmi.TorchmelinvError as error:
        ...     print(type(error).__name__)
        ConventionError
    """


class ConventionError(TorchmelinvError, ValueError):
    """Raised when a mel convention is invalid, unknown, or needs statistics of the training set.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.STFTConvention(n_fft=1024, hop_length=0)  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
            ...
        torchmelinv.errors.ConventionError: STFTConvention.hop_length is 0; it must be an
        integer ≥ 1
    """


class InputError(TorchmelinvError, ValueError):
    """Raised when a tensor or an option has an invalid shape, dtype, device, range, value or name.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.MelInverter("hifigan_22k", n_iter=-1)
        Traceback (most recent call last):
            ...
        torchmelinv.errors.InputError: n_iter is -1; it must be an integer ≥ 0
    """


class FileError(TorchmelinvError, OSError):
    """Raised when a file cannot be read, understood or written.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.read_convention("missing.json")
        Traceback (most recent call last):
            ...
        torchmelinv.errors.FileError: cannot read missing.json: No such file or directory
    """


class DiskError(FileError):
    """Raised when the disk is full or read-only, so that no other file could be written either.

    Jobs over many files end with it at once.

    Example:
        >>> import torchmelinv as tmi
        >>> issubclass(tmi.DiskError, tmi.FileError)
        True
    """


class DependencyError(TorchmelinvError, ImportError):
    """Raised when an optional package is missing or cannot be loaded. The message names the fix.

    Example:
        >>> import torchmelinv as tmi
        >>> issubclass(tmi.DependencyError, ImportError)
        True
    """


class FileWarning(UserWarning):
    """Warns that files were left out, because their folder cannot be read.

    Example:
        >>> import torchmelinv as tmi
        >>> issubclass(tmi.FileWarning, UserWarning)
        True
    """


class EmptyFilterWarning(UserWarning):
    """Warns that many filters of a mel filterbank lie between two bins and are empty.

    Their bands hold nothing, and the inversion can only guess what lies around them. Fewer bands, a
    larger FFT or a wider range of frequencies helps.

    Example:
        >>> import warnings
        >>> import torchmelinv as tmi
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     filterbank = tmi.MelFilterbank(tmi.preset("hifigan_22k", f_max=100))
        >>> caught[0].category.__name__
        'EmptyFilterWarning'
    """


class MelValueWarning(UserWarning):
    """Warns that the values of a mel do not look like those of its convention.

    Such a mel was probably made by another convention; `identify` lists the presets that fit.
    `MelInverter` warns in each call unless ``check=False``. Equal problems have equal texts, so by
    default Python shows each once for a line of code, as in a training loop.

    Example:
        >>> import warnings
        >>> import torch, torchmelinv as tmi
        >>> linear_mel = torch.rand(80, 20)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     waveform = tmi.MelInverter("hifigan_22k", n_iter=0)(linear_mel)
        >>> caught[0].category.__name__
        'MelValueWarning'
    """


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return `"; did you mean 'x' or 'y'?"` with the allowed words closest to `word`, or ''."""
    known, word = list(allowed), word.lower()
    close = [name for name in known if word and name.startswith(word)][:3]
    if not close:
        ratios = {name: difflib.SequenceMatcher(None, word, name).ratio() for name in known}
        best = max(ratios.values(), default=0.0)
        ranked = sorted(known, key=lambda name: -ratios[name])
        close = [name for name in ranked if ratios[name] >= max(0.6, best - 0.1)][:3]
    *others, last = map(repr, close or [""])
    names = f"{', '.join(others)} or {last}" if others else last
    return f"; did you mean {names}?" if close else ""


def short(value: object) -> str:
    """Return `repr(value)`, truncated if it is too long to read."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; too deep a nesting
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"
