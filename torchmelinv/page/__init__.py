"""A page to listen to: the scores, sounds and spectrograms of a comparison, without network.

`write_page` is the part of ``torchmelinv evaluate --html``. The page itself is written in plain
HTML, CSS and JavaScript, in `parts/`; it builds all elements from text, and its content security
policy allows no other script and no connection.
"""

from torchmelinv.page.writing import write_page

__all__ = ["write_page"]
