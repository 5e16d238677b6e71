"""`python docs/check_site.py FOLDER`: check the built site.

Each link and each file that a page loads must exist, with its anchor; each public name must have a
page of its own that describes it.
"""

from __future__ import annotations

import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent / "_ext")]

from reference import FOLDER, documented_names  # noqa: E402

LEAST_WORDS = 15  # of the description of a public name
LINKS = {
    "a": "href",
    "link": "href",
    "img": "src",
    "script": "src",
    "audio": "src",
    "source": "src",
}


class Page(HTMLParser):
    """The links, the anchors and the words of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self._depth = 0  # inside <article>
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self._depth += tag == "article"
        self.anchors.update(filter(None, (values.get("id"), values.get("name"))))
        link = values.get(LINKS.get(tag, ""))
        if link:
            self.links.append(link)

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "article"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.words += data.split()


def broken_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return the links inside the site that lead nowhere."""
    problems = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
                target = target / "index.html" if target.is_dir() else target
            anchor = urllib.parse.unquote(parts.fragment)
            missing = not target.is_file() or site not in target.parents
            if missing or (anchor and target in pages and anchor not in pages[target].anchors):
                problems.append(f"{path.relative_to(site)}: {link} leads nowhere")
    return problems


def undescribed_names(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return the public names without a page, or with an empty one."""
    problems = []
    for name, (canonical, value) in documented_names().items():
        if isinstance(value, type) or callable(value):
            page = pages.get(site / FOLDER / "api" / f"{canonical}.html")
            if page is None or canonical not in page.anchors:
                problems.append(f"{name} has no page")
            elif len(page.words) < LEAST_WORDS:
                problems.append(f"the page of {name} has only {len(page.words)} words")
        else:
            module = canonical.rpartition(".")[0]
            if canonical not in pages[site / FOLDER / f"{module}.html"].anchors:
                problems.append(f"{name} is not on the page of its module")
    return problems


def main() -> int:
    site = Path(sys.argv[1]).resolve()
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    problems = broken_links(site, pages) + undescribed_names(site, pages)
    print("\n".join(problems) or f"{len(pages)} pages: all links and public names are there")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
