"""Optional packages, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from torchmelinv.errors import DependencyError


def require(package: str, extra: str | None = None) -> Any:
    """Import an optional package.

    Args:
        package: Name of the package.
        extra: The extra of torchmelinv that installs the package, if there is one.

    Returns:
        The imported module.

    Raises:
        DependencyError: If the package is missing or does not load; the message names the fix.
    """
    try:
        return importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: soundfile without its libsndfile
        provider = f"'torchmelinv[{extra}]'" if extra else package
        raise DependencyError(
            f"{package} is needed here and cannot be loaded ({error}); "
            f"`pip install {provider}` provides it"
        ) from None
