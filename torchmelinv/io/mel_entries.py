"""The list of the mels of a file, of the formats that hold many."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torchmelinv.errors import FileError
from torchmelinv.io.array_files import ARRAY_READERS, array_names, reading
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.kaldi_files import ark_entries, scp_entries
from torchmelinv.io.mel_formats import PICTURE_SUFFIX, TABLE_SUFFIXES, TAR_SUFFIX, known_suffix
from torchmelinv.io.mel_layout import DEFAULT_LAYOUT, MelLayout, choose_field, matching_entries
from torchmelinv.io.paths import existing_file
from torchmelinv.io.table_files import table_columns, table_entries
from torchmelinv.io.tar_files import field_with_suffix, tar_fields

__all__ = ["mel_entries"]

_KALDI = {".ark": ark_entries, ".scp": scp_entries}


def mel_entries(path: str | Path, layout: MelLayout = DEFAULT_LAYOUT) -> list[MelEntry]:
    """List the mels of a file, without reading them where the format allows.

    Args:
        path: Path of the file, as for `read_mel`.
        layout: How mels lie in the file.

    Returns:
        The mels, in the order of the file. One entry without a name for a file that holds one mel.

    Raises:
        FileError: If the file cannot be read, or holds no such mel.
        DependencyError: If the file needs a package that cannot be loaded.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from torchmelinv.io.mels import MelLayout, mel_entries
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "mels.npz")
        ...     np.savez(path, a=np.zeros((80, 5)), b=np.zeros((80, 6)))
        ...     [entry.name for entry in mel_entries(path, MelLayout(key="*"))]
        ['a', 'b']
    """
    path = existing_file(path)
    suffix = known_suffix(path)
    if (suffix in ARRAY_READERS and not layout.selects_many) or suffix == PICTURE_SUFFIX:
        return [MelEntry(path)]
    with reading(path):
        entries = list(_list_entries(path, suffix, layout.key))
    if not entries:
        raise FileError(f"{path} holds no mel")
    return entries


def _list_entries(path: Path, suffix: str, key: str | None) -> Iterable[MelEntry]:
    if suffix in TABLE_SUFFIXES:
        return table_entries(path, choose_field(path, key, table_columns(path)))
    if suffix == TAR_SUFFIX:
        fields = tar_fields(path)
        mels = field_with_suffix(list(fields), (*ARRAY_READERS, PICTURE_SUFFIX))
        return fields[choose_field(path, key, mels)]
    if suffix in _KALDI:
        entries = list(_KALDI[suffix](path))
    else:
        entries = [MelEntry(path, str(name)) for name in array_names(path, suffix)]
    return entries if key is None else matching_entries(path, entries, key)
