"""The public modules and objects, found from ``__all__``."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import torchmelinv

# Public modules that `import torchmelinv` does not load, because few programs need them.
OTHERS = ("compat.librosa", "compat.torchaudio", "page", "validation")


def public_modules() -> dict[str, ModuleType]:
    """Return `torchmelinv`, the modules in its ``__all__``, and the others, by name."""
    exported = [getattr(torchmelinv, name) for name in torchmelinv.__all__]
    modules = [torchmelinv, *filter(inspect.ismodule, exported)]
    modules += [importlib.import_module(f"torchmelinv.{name}") for name in OTHERS]
    return {module.__name__: module for module in modules}


def public_objects() -> dict[str, Any]:
    """Return each exported function and class once, by its shortest qualified name."""
    objects: dict[int, tuple[str, Any]] = {}
    for module_name, module in reversed(public_modules().items()):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                objects[id(value)] = (f"{module_name}.{name}", value)
    return dict(objects.values())
