"""One mel of a file: what the readers of files with many mels list, and read by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

__all__ = ["MelEntry"]


@dataclasses.dataclass(frozen=True)
class MelEntry:
    """One mel of a file that holds many, or the only one of a file.

    Args:
        path: The file that holds the mel.
        name: Name of the mel in that file; empty for the only mel of a file.
        place: Byte or row at which the file's reader finds the mel; −1 if the name is enough.
        n_values: Number of values of the mel, if the file's directory shows it; otherwise 0.

    Example:
        >>> from pathlib import Path
        >>> from torchmelinv.io.entry import MelEntry
        >>> MelEntry(Path("feats.ark"), "utterance_1", 12).name
        'utterance_1'
    """

    path: Path
    name: str = ""
    place: int = -1
    n_values: int = 0
