"""The checkout, and recordings and mels beside it, never in it. Tests skip without those."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


def pyproject() -> dict[str, Any]:
    """Return the content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


SHARED = _folder(Path(os.environ.get("TORCHMELINV_SHARED", ROOT.parent / "shared")))
AUDIO = _folder(SHARED / "audio") if SHARED else None
GOLDEN = _folder(SHARED / "golden") if SHARED else None
PREDICTED = _folder(SHARED / "predicted") if SHARED else None

needs_audio = pytest.mark.skipif(AUDIO is None, reason="no shared/audio beside the checkout")
needs_golden = pytest.mark.skipif(GOLDEN is None, reason="no shared/golden beside the checkout")
needs_predicted = pytest.mark.skipif(
    PREDICTED is None, reason="no shared/predicted beside the checkout"
)


def speech_clips() -> list[Path]:
    """Return the speech recordings of shared/audio, sorted; [] if there are none."""
    return sorted(AUDIO.glob("speech_*")) if AUDIO else []


def golden_arrays() -> list[Path]:
    """Return the mels of shared/golden that models' own code made, sorted; [] if there are none."""
    return sorted(GOLDEN.glob("*.npz")) if GOLDEN else []
