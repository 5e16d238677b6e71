"""The page around its content: parts joined, and a policy that allows them and nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib import resources
from typing import Any

_PARTS = resources.files("torchmelinv.page") / "parts"


def _scripts() -> str:
    """Return the script: all .js parts in the order of their numbers, in one function."""
    names = sorted(part.name for part in _PARTS.iterdir() if part.name.endswith(".js"))
    parts = [(_PARTS / name).read_text(encoding="utf-8") for name in names]
    return "\n".join(('(() => {\n"use strict";', *parts, "})();"))


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def policy(style: str, script: str, media: str) -> str:
    """Return a content security policy.

    Args:
        style: The style that is allowed.
        script: The script that is allowed.
        media: Sources of sounds and pictures.

    Returns:
        Policy that allows these and no connection, form, frame or plugin.
    """
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        f"img-src {media}; media-src {media}; base-uri 'none'; form-action 'none'"
    )


def as_script_json(content: Any) -> str:
    """Return JSON that a script element can hold: no `<` ends it or starts a comment."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def page_around(title: str, content: Any, embedded: bool) -> tuple[str, str]:
    """Return the page before and after its embedded clips.

    Args:
        title: Title of the page.
        content: What the script reads.
        embedded: Whether sounds and pictures are in the page, not beside it.

    Returns:
        Start and end of the page.
    """
    style, script = (_PARTS / "page.css").read_text(encoding="utf-8"), _scripts()
    values = {
        "title": html.escape(title),
        "policy": html.escape(policy(style, script, "blob:" if embedded else "'self' file:")),
        "style": style,
        "script": script,
        "data": as_script_json(content),
    }
    start, end = (_PARTS / "page.html").read_text(encoding="utf-8").split("{{clips}}")
    # In a single pass: values that look like a placeholder stay as they are.
    return re.sub(r"{{(\w+)}}", lambda match: values[match[1]], start), end
