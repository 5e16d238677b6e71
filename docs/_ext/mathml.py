"""Formulas as MathML, which browsers draw: no script, no network, no fonts to load."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _write(writer: Any, node: nodes.math | nodes.math_block, display: bool) -> None:
    formula = node.astext()
    if display and r"\\" in formula and r"\begin" not in formula:
        formula = rf"\begin{{aligned}}{formula}\end{{aligned}}"
    try:
        markup = tex2mathml(formula, as_block=display)
    except MathError as error:
        logger.warning("cannot write %r as MathML: %s", formula, error, location=node)
        markup = ""
    writer.body.append(f'<div class="formula">{markup}</div>' if display else markup)
    raise nodes.SkipNode


def _inline(writer: Any, node: nodes.math) -> None:
    _write(writer, node, display=False)


def _block(writer: Any, node: nodes.math_block) -> None:
    _write(writer, node, display=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
