"""Names of public objects become links, in docstrings and in code spans of Markdown pages."""

from __future__ import annotations

import functools

from docutils import nodes
from reference import FOLDER, documented_modules, documented_names, is_documented
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode


@functools.cache
def targets() -> dict[str, tuple[str, str]]:
    """Return the page and anchor of each name, in full and as far as its end is unique."""
    found: dict[str, set[tuple[str, str]]] = {}

    def add(name: str, page: str, anchor: str) -> None:
        parts = name.split(".")
        # `magnitude` alone is an argument, not the module.
        for start in range(len(parts) if anchor else max(1, len(parts) - 1)):
            if parts[start] not in ("librosa", "torchaudio"):  # those are the libraries
                found.setdefault(".".join(parts[start:]), set()).add((page, anchor))

    for name, (page, value) in documented_names().items():
        if is_documented(value):
            add(name, f"{FOLDER}/api/{page}", page)
        else:
            add(name, f"{FOLDER}/{page.rpartition('.')[0]}", page)
    for name in documented_modules():
        add(name, f"{FOLDER}/{name}", "")
    # An object before a module of the same name, the drop-in modules last.
    unique = {}
    for name, pages in found.items():
        own = {each for each in pages if ".compat." not in each[0]} or pages
        anchored = {each for each in own if each[1]} or own
        if len(anchored) == 1:
            (unique[name],) = anchored
    return unique


def find(text: str) -> tuple[str, str] | None:
    """Return page and anchor of a name as people write it: `tmi.preset(name)`, `MelInverter`."""
    name = text.split("(")[0].removeprefix("~").removeprefix("tmi.")
    return targets().get(name)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Resolve a name in a docstring or a type."""
    target = find(node["reftarget"]) if node.get("refdomain") == "py" else None
    if target is None or target[0] == node["refdoc"]:
        return None
    return make_refnode(app.builder, node["refdoc"], *target, content)


class LinkCode(SphinxPostTransform):
    """Link code spans that are a public name."""

    default_priority = 5

    def run(self, **options: object) -> None:
        here = self.env.current_document.docname
        for node in list(self.document.findall(nodes.literal)):
            if isinstance(node.parent, nodes.reference | nodes.title | addnodes.pending_xref):
                continue
            target = find(node.astext())
            if target and target[0] != here and target[0] in self.env.found_docs:
                node.replace_self(make_refnode(self.app.builder, here, *target, node.deepcopy()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    app.add_post_transform(LinkCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
