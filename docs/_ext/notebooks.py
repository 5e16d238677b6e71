"""The notebooks, which lie beside `docs/`: copied to where Sphinx reads, and shown as a gallery."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from benchmarks.records import ROOT

FOLDER = "notebooks"
PICTURES = Path(__file__).parent.parent / "_generated" / "notebooks"


def copy_notebooks(app: Sphinx, _: object) -> None:
    """Copy notebooks that changed, and remove those that are gone."""
    source, target = ROOT / FOLDER, Path(app.srcdir) / FOLDER
    target.mkdir(exist_ok=True)
    names = {path.name for path in source.glob("*.ipynb")}
    for path in target.glob("*.ipynb"):
        if path.name not in names:
            path.unlink()
    for name in names:
        text = (source / name).read_bytes()
        if not (target / name).exists() or (target / name).read_bytes() != text:
            shutil.copyfile(source / name, target / name)


def _picture(notebook: nbformat.NotebookNode) -> bytes:
    """Return the first figure of a notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    figures = [each.data["image/png"] for each in outputs if "image/png" in each.get("data", ())]
    return base64.b64decode(figures[0])


class Gallery(SphinxDirective):
    """Show a card with title, first sentences and first figure of each notebook."""

    def run(self) -> list[nodes.Node]:
        PICTURES.mkdir(parents=True, exist_ok=True)
        lines = ["::::{grid} 1 1 2 2", ":gutter: 3", ""]
        for path in sorted((Path(self.env.srcdir) / FOLDER).glob("*.ipynb")):
            self.env.note_dependency(str(path))
            notebook = nbformat.read(path, as_version=4)
            title, text, *_ = notebook.cells[0].source.removeprefix("# ").split("\n\n")
            (PICTURES / f"{path.stem}.png").write_bytes(_picture(notebook))
            lines += [
                f":::{{grid-item-card}} {title}",
                f":link: {FOLDER}/{path.stem}",
                ":link-type: doc",
                f":img-bottom: _generated/notebooks/{path.stem}.png",
                ":img-alt: Its first figure",
                "",
                text,
                ":::",
            ]
        return self.parse_text_to_nodes("\n".join([*lines, "::::"]), offset=self.content_offset)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", copy_notebooks)  # before Sphinx looks for pages
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
