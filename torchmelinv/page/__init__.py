"""A page to listen to: the scores, sounds and spectrograms of a comparison, without network.

`write_page` and, before a long evaluation, `check_page` are the parts of
``torchmelinv evaluate --html``. The page itself is written in plain
HTML, CSS and JavaScript, in `parts/`; it builds all elements from text, and its content security
policy allows no other script and no connection.
"""

from torchmelinv.page.writing import check_page, write_page

__all__ = ["check_page", "write_page"]
