"""Pages of the API reference: one for each public module, and one for each name in its `__all__`.

Sphinx's autosummary makes the pages of names from the lists written here. Nothing of this is kept
in the repository.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

from tests.public import public_modules

# Modules of use besides those that `import torchmelinv` loads.
OTHERS = (
    "torchmelinv.conventions.presets",
    "torchmelinv.demo",
    "torchmelinv.export",
    "torchmelinv.identification",
    "torchmelinv.io.audio",
    "torchmelinv.magnitude",
)
FOLDER = "reference"
SECTIONS = {"Classes": inspect.isclass, "Functions": inspect.isroutine}


def documented_modules() -> dict[str, ModuleType]:
    """Return the modules that have a page, by name."""
    return public_modules() | {name: importlib.import_module(name) for name in OTHERS}


def documented_names() -> dict[str, tuple[str, Any]]:
    """Return the page of each public object and the object, by all its public names.

    The page has the shortest name: `torchmelinv.invert_many`, not `torchmelinv.corpus.invert_many`.
    """
    names: dict[str, Any] = {}
    for module_name, module in documented_modules().items():
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.ismodule(value):
                names[f"{module_name}.{name}"] = value
    shortest: dict[int, str] = {}
    for name in sorted(names, key=len, reverse=True):
        shortest[id(names[name])] = name
    return {name: (shortest[id(value)], value) for name, value in names.items()}


def is_documented(value: Any) -> bool:
    """Return whether a value has a page of its own: classes and functions do."""
    return inspect.isclass(value) or inspect.isroutine(value)


def _summary(names: list[str]) -> list[str]:
    lines = [".. autosummary::", "   :toctree: api", "   :nosignatures:", ""]
    return [*lines, *(f"   {name}" for name in names), ""]


def _constant(name: str, value: Any) -> list[str]:
    """Return the description of data: the names that it lists."""
    lines = [f".. py:data:: {name}", ""]
    if isinstance(value, dict):
        for key, entry in value.items():
            label = f": {entry.label}" if hasattr(entry, "label") else ""
            lines.append(f"   - ``{key!r}``{label}")
    elif isinstance(value, list | tuple | set | frozenset):
        lines += [f"   - ``{entry!r}``" for entry in value]
    else:
        lines.append(f"   ``{value!r}``")
    return [*lines, ""]


def module_page(name: str, module: ModuleType) -> str:
    """Return the page of a module in reStructuredText."""
    pages = documented_names()
    title = f"``{name}``"
    lines = [title, "=" * len(title), "", f".. automodule:: {name}", ""]
    members = [member for member in module.__all__ if f"{name}.{member}" in pages]
    here = [member for member in members if pages[f"{name}.{member}"][0] == f"{name}.{member}"]
    for section, belongs in SECTIONS.items():
        listed = [member for member in here if belongs(getattr(module, member))]
        if listed:
            lines += [section, "-" * len(section), "", *_summary(sorted(listed, key=str.lower))]
    elsewhere = [pages[f"{name}.{member}"][0] for member in members if member not in here]
    if elsewhere:
        lines += ["Also in this module: " + ", ".join(f"`{each}`" for each in elsewhere) + ".", ""]
    constants = [member for member in here if not is_documented(getattr(module, member))]
    if constants:
        lines += ["Constants", "---------", ""]
        for member in constants:
            lines += _constant(member, getattr(module, member))
    return "\n".join(lines)


def write_pages(app: Sphinx, _: object = None) -> None:
    """Write the pages of modules, and remove those of modules and names that are gone."""
    folder = Path(app.srcdir) / FOLDER
    modules = documented_modules()
    pages = {page for page, _ in documented_names().values()}
    for path in (folder / "api").glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for path in folder.glob("torchmelinv*.rst"):
        if path.stem not in modules:
            path.unlink()
    for name, module in modules.items():
        path, text = folder / f"{name}.rst", module_page(name, module)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def skip_member(
    app: Sphinx, kind: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out fields of records, which the class describes with its parameters, and reprs."""
    doc = getattr(value, "__doc__", None) or ""
    is_field = doc.startswith("Alias for field number")
    return True if is_field or name == "extra_repr" else None


def show_public_bases(app: Sphinx, name: str, value: type, options: Any, bases: list[type]) -> None:
    """Show the public bases of a private base in its place."""
    while any(base.__name__.startswith("_") for base in bases):
        bases[:] = [
            each
            for base in bases
            for each in (base.__bases__ if base.__name__.startswith("_") else (base,))
        ]


def escape_bars(
    app: Sphinx, kind: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Take bars for bars: |STFT| is a magnitude, not a substitution."""
    for index, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = line.split("``")
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[index] = "``".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", write_pages)  # before Sphinx looks for pages
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-bases", show_public_bases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
