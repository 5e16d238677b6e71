"""`python tests/blocks.py PAGE`: run the Python blocks and `torchmelinv` commands of a page.

It needs the package alone, so that an installed wheel can run the README. A page that needs files
makes them in a block within `:::{only} test`, which the site does not show.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

from torchmelinv.cli import main as cli

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("python", "console")  # other blocks, as `py` and `sh`, do not run


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of all code blocks of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run_console(block: str) -> None:
    """Run each line that starts with `torchmelinv`, as the installed command would."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["torchmelinv"]:
            assert cli.main(words[1:]) == 0, line


def run_blocks(page: Path) -> None:
    """Run the blocks of a page in the current folder, in their order."""
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": page.stem}
    for match in BLOCK.finditer(text):
        language, block = match.groups()
        if language == "python":
            # Empty lines first, so that a traceback shows the line numbers of the page.
            source = "\n" * text[: match.start(2)].count("\n") + block
            exec(compile(source, str(page), "exec"), namespace)
        elif language == "console":
            run_console(block)


if __name__ == "__main__":
    run_blocks(Path(sys.argv[1]))
