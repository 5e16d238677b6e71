"""The examples of all docstrings run, print what they show, and leave no files."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import torchmelinv

MODULES = [
    torchmelinv,
    *(
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(torchmelinv.__path__, "torchmelinv.")
        if not module.name.endswith("__main__")
    ),
]
FINDER = doctest.DocTestFinder(exclude_empty=True)
EXAMPLES = {test.name: test for module in MODULES for test in FINDER.find(module) if test.examples}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = EXAMPLES[name]
    example.globs = {}  # an example imports what it uses
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    result = runner.run(example, out=report.append)
    assert result.failed == 0, "".join(report)
    assert list(tmp_path.iterdir()) == []
