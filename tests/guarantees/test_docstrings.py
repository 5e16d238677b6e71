"""Exported objects document arguments, results, errors, shapes, papers and an example."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest
from docstring_parser import Docstring
from docstring_parser.common import DocstringYields
from docstring_parser.google import DEFAULT_SECTIONS, GoogleParser, Section, SectionType
from torch import nn

from tests.public import public_modules, public_objects
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES

OBJECTS = public_objects()
CLASSES = {name: value for name, value in OBJECTS.items() if inspect.isclass(value)}
FUNCTIONS = {name: value for name, value in OBJECTS.items() if name not in CLASSES}
MODULES = {name: value for name, value in CLASSES.items() if issubclass(value, nn.Module)}
ERRORS = {name for name, value in CLASSES.items() if issubclass(value, Exception)}
COMPAT = {name: value for name, value in OBJECTS.items() if name.startswith("torchmelinv.compat.")}
# Methods that define the phase or magnitude themselves, without a paper.
WITHOUT_PAPER = ("transpose", "pinv", "coarse_to_fine")

# Sections of PyTorch that the parser would take for a part of the section before.
TORCH_SECTIONS = [
    Section(title, title.lower(), SectionType.SINGULAR) for title in ("Shape", "References")
]
PARSER = GoogleParser([*DEFAULT_SECTIONS, *TORCH_SECTIONS])


def parse(value: Any) -> Docstring:
    return PARSER.parse(inspect.getdoc(value) or "")


def sections(value: Any) -> set[str]:
    """Return the titles of the sections other than arguments, results and errors."""
    return {meta.args[0] for meta in parse(value).meta if len(meta.args) == 1}


def parameters(value: Any) -> list[str]:
    """Return the parameters of a function or of a class's constructor."""
    if inspect.isclass(value) and issubclass(value, tuple) and hasattr(value, "_fields"):
        return list(value._fields)
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value) if field.init]
    # A base class documents its own constructor; a private base has no page.
    private_base = getattr(value.__init__, "__qualname__", "").startswith("_")
    if inspect.isclass(value) and "__init__" not in vars(value) and not private_base:
        return []
    names = inspect.signature(value).parameters
    return [name for name in names if name not in ("self", "args")]


def documented(value: Any) -> list[str]:
    """Return the documented parameters; all of them must have a description."""
    params = [meta for meta in parse(value).params if meta.args[0] != "attribute"]
    assert all(param.description for param in params)
    return [param.arg_name.lstrip("*") for param in params]


def documents_its_result(value: Any) -> bool:
    docstring = parse(value)
    if inspect.isgeneratorfunction(inspect.unwrap(value)):
        results = [meta for meta in docstring.meta if isinstance(meta, DocstringYields)]
    else:
        results = docstring.many_returns
    return bool(results) and all(result.description for result in results)


def returns_nothing(value: Any) -> bool:
    return inspect.signature(value).return_annotation in (None, "None")


def has_tensors(value: Any) -> bool:
    """Return whether a function's annotations contain a tensor."""
    signature = inspect.signature(value)
    annotations = [each.annotation for each in signature.parameters.values()]
    return any("Tensor" in str(each) for each in [*annotations, signature.return_annotation])


def public_methods(value: Any) -> dict[str, Any]:
    """Return the methods that the class itself defines, without properties."""
    return {
        name: member
        for name, member in vars(value).items()
        if not name.startswith("_") and inspect.isfunction(inspect.unwrap(member))
    }


# A method is documented by the class that defines it first; those of nn.Module by PyTorch.
METHODS = {
    f"{name}.{method}": member
    for name, value in CLASSES.items()
    for method, member in public_methods(value).items()
    if method != "extra_repr"
    and not any(hasattr(base, method) for base in value.__mro__[1:] if base is not nn.Module)
}
PROPERTIES = {
    f"{name}.{member}": value
    for name, owner in CLASSES.items()
    for member, value in vars(owner).items()
    if isinstance(value, property) and not member.startswith("_")
}


@pytest.mark.parametrize("name", public_modules())
def test_public_modules_have_a_docstring_and_exports(name):
    module = public_modules()[name]
    assert (module.__doc__ or "").strip()
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_every_argument_is_documented(name):
    value = {**OBJECTS, **METHODS}[name]
    assert documented(value) == parameters(value)


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_every_result_is_documented(name):
    value = {**FUNCTIONS, **METHODS}[name]
    assert returns_nothing(value) or documents_its_result(value)


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS, *PROPERTIES])
def test_the_summary_is_a_sentence(name):
    docstring = parse({**OBJECTS, **METHODS, **PROPERTIES}[name])
    assert docstring.short_description
    assert docstring.short_description.endswith(".")


@pytest.mark.parametrize("name", [name for name in OBJECTS if name not in ERRORS])
def test_every_object_has_an_example(name):
    assert "examples" in sections(OBJECTS[name])
    assert ">>> " in inspect.getdoc(OBJECTS[name])


@pytest.mark.parametrize(
    "name",
    [name for name, value in FUNCTIONS.items() if has_tensors(value)]
    + [f"{name}.forward" for name in MODULES if ".validation." not in name],  # torchmetrics'
)
def test_tensors_have_documented_shapes(name):
    forward = {f"{name}.forward": module.forward for name, module in MODULES.items()}
    assert "shape" in sections({**FUNCTIONS, **forward}[name])


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if ".functional." in name])
def test_functions_document_their_errors(name):
    assert "InputError" in [error.type_name for error in parse(FUNCTIONS[name]).raises]


@pytest.mark.parametrize("name", MODULES)
def test_modules_document_their_errors(name):
    """In the class, for the constructor, or in `forward`."""
    module = MODULES[name]
    assert parse(module).raises or parse(module.forward).raises


@pytest.mark.parametrize(
    "name", [name for name in [*PHASES, *MAGNITUDES] if name not in WITHOUT_PAPER]
)
def test_methods_cite_their_paper(name):
    method = {**PHASES, **MAGNITUDES}[name]
    assert "references" in sections(method)
    assert re.search(r"\b(19|20)\d\d\b", inspect.getdoc(method).split("References:")[1])


@pytest.mark.parametrize("name", COMPAT)
def test_compat_objects_name_their_original(name):
    _, _, package, original = name.split(".")
    assert re.search(rf"`{package}(\.\w+)*\.{original}`", inspect.getdoc(COMPAT[name]))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.endswith("_db")])
def test_metrics_in_decibels_document_the_unit_and_which_values_are_better(name):
    text = inspect.getdoc(FUNCTIONS[name])
    assert "dB" in text
    assert re.search(r"lower|higher|better", text, re.IGNORECASE)
