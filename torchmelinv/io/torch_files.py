"""Tensors of the files of `torch.save`, treated as untrusted input: see `safe_load`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.text import unique_keys
from torchmelinv.io.plain_files import read_content
from torchmelinv.io.safe_load import Choose
from torchmelinv.io.safe_pickle import check_pickle


def _check_torch_archive(content: bytes) -> None:
    """Refuse what is not a plain archive of `torch.save` with a harmless pickle."""
    if not content.startswith(b"PK\3\4"):
        raise ValueError(
            "it is truncated, or not a file of torch.save since version 1.6; "
            "torch.load it and torch.save it again"
        )
    # The directory must end the file, so that every reader finds the same one.
    if content[-22:-18] != b"PK\5\6" or content[-2:] != b"\0\0":
        raise ValueError("it is truncated, or something follows it")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        # Readers differ in which of two entries of one name they take, and in where a name ends.
        unique_keys((entry.filename.lower(), entry) for entry in entries)
        if any("\0" in entry.orig_filename for entry in entries):
            raise ValueError("the name of an entry holds a null; save the mel with torch.save")
        compressed = any(entry.compress_type for entry in entries)
        if compressed or sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("its entries are compressed or overlap; save the mel with torch.save")
        for entry in entries:
            if entry.filename.lower().endswith("data.pkl"):
                folder = entry.filename.rpartition("/")[0]
                check_pickle(archive.read(entry), _storage_sizes(entries, folder))


def _storage_sizes(entries: Sequence[zipfile.ZipInfo], folder: str) -> dict[str, int]:
    """Return the bytes of each storage of a torch.save archive, by its key."""
    prefix = f"{folder}/data/"
    return {
        entry.filename.removeprefix(prefix): entry.file_size
        for entry in entries
        if entry.filename.startswith(prefix)
    }


def read_torch(path: Path, choose: Choose) -> Tensor:
    """Read a file of `torch.save` since version 1.6: a tensor, or a dictionary that holds some.

    What is checked is what is loaded: both see one copy of the file in memory, which nobody can
    change meanwhile.
    """
    content = read_content(path, copies=2)
    _check_torch_archive(content)
    loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    values: Mapping[Any, Any] = loaded if isinstance(loaded, dict) else {"": loaded}
    mel = values[choose(list(values), lambda name: tuple(getattr(values[name], "shape", ())))]
    if not isinstance(mel, Tensor):
        raise ValueError(
            f"it holds a {type(mel).__name__}, not an array; "
            "save the mel itself as one array or tensor"
        )
    if mel.numel() * mel.element_size() > len(content):
        raise ValueError(
            f"its tensor of shape {tuple(mel.shape)} has more values than the file; "
            "save a contiguous one"
        )
    return mel.detach().clone(memory_format=torch.contiguous_format)
