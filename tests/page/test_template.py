"""The frame of the page: nothing from outside becomes HTML, and its policy allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re

import pytest

from torchmelinv.page.template import as_script_json, page_around

HOSTILE = "</script><script>alert(1)</script><!-- {{script}} {{title}} \u2028 \ud800"


def test_json_in_a_script_ends_no_script() -> None:
    text = as_script_json({"name": HOSTILE})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text)["name"] == HOSTILE


def test_names_stay_text() -> None:
    start, end = page_around(HOSTILE.replace("\ud800", ""), {"name": HOSTILE}, True)
    assert start.count("<script") == 2
    assert start.count("<h1>&lt;/script&gt;") == 1
    assert end.strip() == "</body>\n</html>"


@pytest.mark.parametrize(("embedded", "media"), [(True, "blob:"), (False, "'self' file:")])
def test_policy_allows_its_own_script_and_style_alone(embedded: bool, media: str) -> None:
    start, _ = page_around("title", {}, embedded)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', start)
    rules = dict(rule.strip().split(" ", 1) for rule in html.unescape(policy).split(";"))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert rules.pop("img-src") == rules.pop("media-src") == media
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", start, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert rules == {}


def test_no_part_reads_a_string_as_html_or_names_an_address() -> None:
    start, _ = page_around("title", {}, True)
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch("):
        assert word not in start
    addresses = set(re.findall(r"\w+://[^\s\"']*", start))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of the SVG elements
