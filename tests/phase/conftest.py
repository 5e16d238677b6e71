"""Inversion in pieces, for tests of long mels that are short."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from torchmelinv.phase import blockwise, pieces


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes every item long, with small blocks and pieces."""

    def use() -> None:
        monkeypatch.setattr(pieces, "LARGEST_WHOLE", 1)
        monkeypatch.setattr(pieces, "_PIECE_SAMPLES", 128 * 70)
        monkeypatch.setattr(blockwise, "_BLOCK_SAMPLES", 128 * 17)

    return use
