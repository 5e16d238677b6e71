"""Write the page of a comparison: one file, or a folder with sounds and pictures beside it."""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from torchmelinv._utils.optional import require
from torchmelinv._utils.options import named_options
from torchmelinv._utils.text import printable
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.comparison import Comparison
from torchmelinv.errors import InputError
from torchmelinv.io.disk_errors import check_writable, write_error
from torchmelinv.io.mel_formats import MEL_SUFFIXES
from torchmelinv.io.paths import atomic_write
from torchmelinv.page.clips import Clip, make_clips
from torchmelinv.page.content import scores_and_notes, system_names, tables
from torchmelinv.page.sounds import FLAC, VORBIS, Encoding
from torchmelinv.page.template import page_around

__all__ = ["check_page", "write_page"]

SUFFIXES = (".html", ".htm")
MAX_LOSSLESS = 24 * 2**20  # bytes of FLAC in a single file, which browsers open at once
_FLAC_BYTES_PER_SAMPLE = 1.1  # of speech


class _Store(Protocol):
    """Where sounds and pictures go."""

    def add(self, kind: str, name: str, suffix: str, data: bytes) -> str:
        """Store a file and return the reference by which the page finds it."""


class _Blocks:
    """Sounds and pictures in the page, as blocks of base64 that no parser reads as HTML."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def add(self, kind: str, name: str, suffix: str, data: bytes) -> str:
        """Write a block."""
        number = name.partition("_")[0]
        head = f'<script type="text/plain" id="{kind}-{number}">'
        self.stream.write(head.encode() + base64.b64encode(data) + b"</script>\n")
        return f"#{kind}-{number}"


class _Folder:
    """Sounds and pictures in folders beside the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, kind: str, name: str, suffix: str, data: bytes) -> str:
        """Write a file."""
        path = self.folder / kind / f"{name}{suffix}"
        # Not by `atomic_write`, which waits for the disk each time: index.html comes last.
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise write_error(path, error) from None
        return f"{kind}/{path.name}"


def _is_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def check_page(path: str | Path) -> None:
    """Check, before any work, that a page can be written to a path.

    Args:
        path: Path of a file that ends in .html, or of a folder.

    Raises:
        InputError: If the path is a file that does not end in .html.
        FileError: If the place cannot be written.
        DependencyError: If soundfile cannot be loaded.

    Example:
        >>> from torchmelinv import page
        >>> page.check_page("report.html")
    """
    require("soundfile")
    path = Path(path)
    if path.is_file() and not _is_file(path):
        raise InputError(
            f"{path} is a file; the page must be a file that ends in .html, or a folder"
        )
    check_writable(path if _is_file(path) else path / "index.html")


@named_options
def write_page(
    comparison: Comparison,
    path: str | Path,
    *,
    title: str | None = None,
    progress: Callable[[], None] | None = None,
) -> Path:
    """Write a page to listen to: scores, sounds and spectrograms of several systems.

    The page needs no network and opens from a disk. If the path ends in .html, it is one file that
    holds everything; sounds are FLAC, or Ogg Vorbis if FLAC would take more than 24 MB. Otherwise
    the path is a folder, made if needed, with index.html and FLAC files beside it.

    Args:
        comparison: The comparison, from `corpus.compare`.
        path: Path of a file that ends in .html, or of a folder.
        title: Title of the page. Default: the names of the systems.
        progress: Called after each item. None: no calls.

    Returns:
        Path of the HTML file.

    Raises:
        InputError: If the path is a file that does not end in .html.
        FileError: If the page cannot be written. A clip that cannot be read is no error: the page
            says why.
        DiskError: If the disk is full or read-only.
        DependencyError: If soundfile cannot be loaded.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from torchmelinv import page
        >>> from torchmelinv.corpus import Pair, ScoredPair, compare
        >>> scored = [ScoredPair(Pair("a", None, None), {"estoi": 0.9})]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = page.write_page(compare({"ours": scored}), Path(folder, "report.html"))
        ...     written.name, "<title>ours</title>" in written.read_text(encoding="utf-8")
        ('report.html', True)
    """
    path = Path(path)
    check_page(path)
    heading = printable(title or _title(comparison))
    embedded = _is_file(path)
    encoding = VORBIS if embedded and _flac_bytes(comparison) > MAX_LOSSLESS else FLAC
    page = path if embedded else path / "index.html"
    # Blocks wait in a file of their own: the tables, which come before them, are known last.
    with atomic_write(page) as temporary, tempfile.TemporaryFile(dir=page.parent) as blocks:
        store: _Store = _Blocks(blocks) if embedded else _Folder(path)
        items = list(_items(comparison, store, encoding, progress))
        content = {**tables(comparison, encoding), "items": items}
        start, end = page_around(heading, content, embedded)
        with temporary.open("wb") as stream:
            stream.write(start.encode())
            blocks.seek(0)
            shutil.copyfileobj(blocks, stream)
            stream.write(end.encode())
    return page


def _title(comparison: Comparison) -> str:
    return ", ".join(comparison.systems)


def _paths(comparison: Comparison, index: int) -> list[Path | None]:
    """Return the file of each of the page's systems."""
    item = comparison.items[index]
    generated = [item.generated.get(system) for system in comparison.systems]
    has_reference = len(system_names(comparison)) > len(comparison.systems)
    return [*([item.reference] if has_reference else []), *generated]


def _flac_bytes(comparison: Comparison) -> float:
    """Return about how many bytes all sounds take as FLAC."""
    soundfile = require("soundfile")
    total = 0.0
    for index in range(len(comparison.items)):
        for path in _paths(comparison, index):
            if path is not None and path.suffix.lower() not in MEL_SUFFIXES:
                with contextlib.suppress(OSError, soundfile.SoundFileError, TypeError):
                    info = soundfile.info(str(path))
                    total += info.frames * min(info.channels, 2)
    return total * _FLAC_BYTES_PER_SAMPLE


def _items(
    comparison: Comparison, store: _Store, encoding: Encoding, progress: Callable[[], None] | None
) -> Iterator[dict[str, Any]]:
    """Yield each item with its clips, which are stored."""
    convention = comparison.convention
    mel_spectrogram = None if convention is None else MelSpectrogram(convention)
    names = system_names(comparison)
    for index in range(len(comparison.items)):
        layout = comparison.items[index].layout
        clips, notes = make_clips(_paths(comparison, index), mel_spectrogram, encoding, layout)
        item = scores_and_notes(comparison, index)
        item["notes"] += notes
        stem = _slug(comparison.items[index].name)
        item["clips"] = [
            clip and _reference(clip, store, f"{index + 1}-{number}_{stem}_{_slug(name)}", encoding)
            for number, (clip, name) in enumerate(zip(clips, names, strict=True))
        ]
        yield item
        if progress is not None:
            progress()


def _slug(name: str) -> str:
    """Return a part of a file name that every system takes; numbers make it unique."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[-40:].strip("-")


def _reference(clip: Clip, store: _Store, name: str, encoding: Encoding) -> dict[str, Any]:
    """Store a clip's files; return what the page needs to show it."""
    entry: dict[str, Any] = {"seconds": clip.seconds}
    if clip.sound is not None:
        entry["audio"] = store.add("audio", name, encoding.suffix, clip.sound)
        entry["loudness"] = clip.loudness
    if clip.picture is not None:
        entry["picture"] = store.add("pictures", name, ".png", clip.picture)
    if clip.problem:
        entry["problem"] = printable(clip.problem)
    return entry
