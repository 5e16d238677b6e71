"""`{citation}`: CITATION.cff as text, BibTeX and a list of the papers by method."""

from __future__ import annotations

from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from benchmarks.records import ROOT

PATH = ROOT / "CITATION.cff"


def _authors(entry: dict[str, Any]) -> str:
    names = [f"{each['given-names']} {each['family-names']}" for each in entry["authors"]]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _paper(entry: dict[str, Any]) -> str:
    """Return a line of Markdown for a paper."""
    where = entry.get("journal") or entry.get("collection-title") or ""
    details = ", ".join(filter(None, [where, str(entry["year"])]))
    title = entry["title"]
    if "doi" in entry:
        title = f"[{title}](https://doi.org/{entry['doi']})"
    notes = entry["notes"][0].upper() + entry["notes"][1:]
    return f"- **{notes}.** {_authors(entry)}, {title}, {details}"


def _bibtex(citation: dict[str, Any]) -> str:
    lines = [
        "@software{torchmelinv,",
        f"  title = {{{citation['title']}}},",
        f"  author = {{{{{citation['authors'][0]['name']}}}}},",
        f"  version = {{{citation['version']}}},",
        f"  year = {{{citation['date-released'].year}}},",
        f"  url = {{{citation['url']}}},",
        "}",
    ]
    return "\n".join(["```bibtex", *lines, "```"])


class Citation(SphinxDirective):
    """Write all of it as a part of the page."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(PATH))
        citation = yaml.safe_load(PATH.read_text(encoding="utf-8"))
        papers = sorted(citation["references"], key=lambda entry: entry["notes"].lower())
        text = "\n".join([_bibtex(citation), "", "The papers:", "", *map(_paper, papers)])
        return self.parse_text_to_nodes(text, offset=self.content_offset)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("citation", Citation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
