"""Sphinx: the site of torchmelinv. `make docs` builds it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]  # tests.public, benchmarks; the extensions

from pygments.lexers.shell import BashLexer  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

import torchmelinv  # noqa: E402

(DOCS / "_generated").mkdir(exist_ok=True)  # a static path must exist
# Parts of the guide may be absent.
logging.getLogger("sphinx.sphinx.directives.other").addFilter(
    lambda record: "didn't match any documents" not in str(record.msg)
)

project = "torchmelinv"
author = "torchmelinv contributors"
copyright = "torchmelinv contributors"
version = release = torchmelinv.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "myst_nb",
    # docs/_ext
    "citation",
    "links",
    "mathml",
    "notebooks",
    "reference",
    "results",
    "sounds",
]
exclude_patterns = ["_*", "demo/[!i]*"]
if (DOCS / "demo" / "dist").is_dir():  # `make demo-page` has built the live demo
    html_extra_path = ["demo/dist"]
    tags.add("live_demo")  # noqa: F821
templates_path = ["_templates"]
default_role = "py:obj"  # docstrings name objects between single backticks

autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Shape"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks carry their outputs; `make notebooks` executes them
nb_merge_streams = True

html_theme = "furo"
pygments_style = "friendly"
pygments_dark_style = "monokai"
html_title = "torchmelinv"
html_favicon = "_static/icon.svg"
html_search_scorer = str(DOCS / "scorer.js")
html_static_path = ["_static", "_generated"]
html_css_files = ["custom.css"]
html_baseurl = "https://torchmelinv.github.io/torchmelinv/"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/torchmelinv/torchmelinv/",
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#0b5c8a",
        "color-brand-content": "#0b5c8a",
        "color-brand-visited": "#0b5c8a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6cb8e6",
        "color-brand-content": "#6cb8e6",
        "color-brand-visited": "#6cb8e6",
    },
}
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app: Sphinx) -> None:
    app.add_lexer("console", BashLexer)  # commands without a prompt, not a session
