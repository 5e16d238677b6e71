"""Mels of WebDataset archives (tar), as untrusted input. Nothing is extracted to the disk.

The files of an archive whose names differ only behind the first dot are one sample: its name is
what stands before the dot, and the rest names a field, such as ``mel.npy``.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from torchmelinv.io.entry import MelEntry
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import Member, open_plain

_MOST_MEMBERS = 10_000_000


def _split(name: str) -> tuple[str, str]:
    """Return a sample's name and a field's, both in lower case as WebDataset has them."""
    folder, slash, file = name.rpartition("/")
    sample, _, field = file.partition(".")
    return folder + slash + sample, field.lower()


def tar_fields(path: Path) -> dict[str, list[MelEntry]]:
    """Return the members of an archive by their fields; their data is not read."""
    fields: dict[str, list[MelEntry]] = {}
    with open_plain(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for count, member in enumerate(archive):
            if count >= _MOST_MEMBERS:
                raise ValueError(f"it holds more than {_MOST_MEMBERS} files")
            archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps them all
            if member.isreg() and not member.sparse:
                sample, field = _split(member.name)
                fields.setdefault(field, []).append(
                    MelEntry(path, sample, member.offset, member.size // 4)
                )
    return fields


def read_member(path: Path, entry: MelEntry) -> Member:
    """Read a member into memory."""
    with open_plain(path) as stream:
        stream.seek(entry.place)
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            member = archive.next()
            if member is None or not member.isreg() or member.sparse:
                raise ValueError("it changed while it was read; wait until it is complete")
            check_memory(path, 2 * member.size)
            data = archive.extractfile(member)
            content = data.read() if data else b""
    if len(content) < member.size:
        raise ValueError("it is truncated")
    return Member(content, f"{path}: {member.name[:200]}", Path(member.name).suffix.lower())


def field_with_suffix(fields: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """Return the fields that end in one of these suffixes, such as ``mel.npy`` for ``.npy``."""
    return [field for field in fields if f".{field}".endswith(tuple(suffixes))]
