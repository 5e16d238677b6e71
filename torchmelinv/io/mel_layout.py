"""How mels lie in their files: which of several arrays, columns or entries is the mel."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torchmelinv.errors import FileError, short
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.picture_files import Picture
from torchmelinv.io.safe_load import Choose

__all__ = ["MEL_NAMES", "MelLayout"]

# Names that mark the mel among several arrays of a file.
MEL_NAMES = (
    "mel",
    "mels",
    "log_mel",
    "logmel",
    "mel_spec",
    "mel_specgram",
    "mel_spectrogram",
    "melspec",
    "input_features",
)
_SHOWN = 12  # names in an error


@dataclasses.dataclass(frozen=True)
class MelLayout:
    """How mels lie in their files.

    Args:
        key: Which array of a file is the mel: the name in an npz, safetensors or HDF5 file, the key
            in a dictionary (``outputs/mel`` in nested ones, an index in a list), the utterance in a
            Kaldi archive, the column of a table, the field of a WebDataset sample (``mel.npy``). A
            pattern such as ``*`` or ``*/mel`` selects many mels of one file. Default: the only
            array, the only one with a name of `MEL_NAMES`, or the only one of two or more
            dimensions; all mels of a file whose format is one of many mels.
        frames_first: Whether mels are (…, n_frames, n_mels). Those of Kaldi archives always are.
        picture: Scale of the pixels of pictures. Default: pictures are refused.

    Example:
        >>> from torchmelinv.io.mels import MelLayout
        >>> MelLayout(key="feats", frames_first=True).selects_many
        False
    """

    key: str | None = None
    frames_first: bool = False
    picture: Picture | None = None

    @property
    def selects_many(self) -> bool:
        """Whether `key` is a pattern."""
        return self.key is not None and any(sign in self.key for sign in "*?[")

    def short_name(self, name: str) -> str:
        """Return a selected name without the groups that `key` gives to all names.

        Args:
            name: Name of a mel in a file.

        Returns:
            ``a`` for ``outputs/a/mel`` with the key ``outputs/*/mel``.
        """
        if self.key is None or not self.selects_many or name == self.key:
            return name
        head, tail = re.split(r"[*?\[]", self.key)[0], re.split(r"[*?\]]", self.key)[-1]
        start, end = head.rfind("/") + 1, tail.find("/")
        return name[start : len(name) - len(tail) + end if end >= 0 else None]


DEFAULT_LAYOUT = MelLayout()


def shown_names(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]] | None = None) -> str:
    """Return names for an error, with their shapes where a file has few."""
    shown = [f"{short(name)} {shape(name)}" if shape else short(name) for name in names[:_SHOWN]]
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return (", ".join(shown) or "nothing") + more


def _no_key(path: object, key: str, names: Sequence[Any]) -> FileError:
    return FileError(f"{path} has no {key!r}; it holds {shown_names(names)}")


def choose_mel(path: object, key: str | None) -> Choose:
    """Return a function that chooses the array `key`, the only one, or the one named as a mel."""

    def choose(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        if key is not None:
            keyed = [name for name in names if str(name) == key]
            if not keyed and list(names) != [""]:  # a file of one array without a name
                raise _no_key(path, key, names)
            return keyed[0] if keyed else names[0]
        named = [name for name in names if str(name).rpartition("/")[2].lower() in MEL_NAMES]
        candidates = names if len(names) == 1 else named
        if not candidates and len(names) <= _SHOWN:  # beside a rate, a pitch, an energy, …
            candidates = [name for name in names if len(shape(name)) > 1]
        if len(candidates) == 1:
            return candidates[0]
        raise FileError(
            f"{path} holds {shown_names(names, shape)}; choose the mel by its key (--key NAME, or "
            "--key '*' for all); without a key, a file must hold exactly one array, one of two or "
            f"more dimensions, or one with a name such as {MEL_NAMES[0]}"
        )

    return choose


def choose_field(path: Path, key: str | None, names: Sequence[str]) -> str:
    """Return the column or field that holds the mels."""
    named = [name for name in names if name.partition(".")[0].lower() in MEL_NAMES]
    if key is not None:
        if key not in names:
            raise _no_key(path, key, names)
        return key
    for candidates in (names, named):
        if len(candidates) == 1:
            return candidates[0]
    if not names:
        raise FileError(f"{path} holds no mels: no columns of lists of lists, no files of arrays")
    raise FileError(
        f"{path} has mels or pictures in {shown_names(names)}; choose one by its key (--key NAME)"
    )


def matching_entries(path: Path, entries: Sequence[MelEntry], key: str) -> list[MelEntry]:
    """Return the entries of this name, or those whose names match this pattern."""
    matching = [entry for entry in entries if entry.name == key]
    matching = matching or [each for each in entries if fnmatch.fnmatchcase(each.name, key)]
    if not matching:
        raise _no_key(path, key, [entry.name for entry in entries])
    return matching
