"""Copy the notebooks, which lie beside `docs/`, to where Sphinx reads."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx

FOLDER = "notebooks"


def copy_notebooks(app: Sphinx, _: object = None) -> None:
    """Copy notebooks that changed, and remove those that are gone."""
    source, target = Path(app.srcdir).parent / FOLDER, Path(app.srcdir) / FOLDER
    names = {path.name for path in source.glob("*.ipynb")}
    for path in target.glob("*.ipynb"):
        if path.name not in names:
            path.unlink()
    for name in names:
        text = (source / name).read_bytes()
        if not (target / name).exists() or (target / name).read_bytes() != text:
            shutil.copyfile(source / name, target / name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", copy_notebooks)  # before Sphinx looks for pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
