"""`{results} NAME`: a table of benchmarks/results, rendered by `benchmarks.tables`."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from benchmarks.records import RESULTS
from benchmarks.tables import RENDERERS, render


class Results(SphinxDirective):
    """Parse the Markdown of a table as a part of the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        (name,) = self.arguments
        suite, _ = RENDERERS[name]
        if suite:
            self.env.note_dependency(str(RESULTS / f"{suite}.json"))
        text = render(name)
        return self.parse_text_to_nodes(text, offset=self.content_offset)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("results", Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
