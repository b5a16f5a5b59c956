"""Every route and every metric stands in a page, and the pages name no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from hansa.business.models import load
from hansa.node.metrics import FIGURES, Figure
from tests.conftest import CHECKOUT
from tests.docs.pages import page, pages
from tests.tidy.source import Source, project_files

ROUTE_MAKERS = {"starlette.routing.Route", "starlette.routing.WebSocketRoute", "starlette.routing.Mount"}


def constants() -> dict[str, str]:
    """Text constants of the product's modules, by their dotted name."""
    texts: dict[str, Any] = {}
    for source in product():
        module = source.path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        for statement in source.tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(
                statement.value, ast.Constant
            ):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                texts |= {f"{module}.{ast.unparse(target)}": statement.value.value for target in targets}
    return {name: value for name, value in texts.items() if isinstance(value, str)}


def product() -> Iterator[Source]:
    """The modules of the product."""
    return (source for source in project_files(CHECKOUT) if source.is_python and source.area == "src")


@cache
def served() -> frozenset[str]:
    """Paths of all routes, without their parameters' names."""
    texts = constants()
    paths = set()
    for source in product():
        module = source.path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if source.dotted(node.func) in ROUTE_MAKERS:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else node.args[:1]
                path = ""
                for part in parts:
                    expression = part.value if isinstance(part, ast.FormattedValue) else part
                    name = source.dotted(expression) or ""
                    path += (
                        str(expression.value)
                        if isinstance(expression, ast.Constant)
                        else texts.get(name) or texts[f"{module}.{name}"]
                    )
                paths.add(without_parameters(path))
    return frozenset(paths)


def without_samples(text: str) -> str:
    """A page without its JSON samples, in which addresses are shortened."""
    return re.sub(r"```json\n.*?```", "", text, flags=re.DOTALL)


def without_parameters(path: str) -> str:
    """A path with its parameters' names and converters left out."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_route_is_documented() -> None:
    documented = {
        without_parameters(path) for path in re.findall(r"(/[\w{}:./-]*)", page("docs/integrators/api.md"))
    }
    assert served(), "no routes were found: this test looks in the wrong place"
    assert served() <= documented, f"docs/integrators/api.md does not name {sorted(served() - documented)}"


def test_the_pages_name_no_route_that_is_not_served() -> None:
    named = {
        without_parameters(route.partition("?")[0])
        for path in pages()
        for route in re.findall(
            r"(/league/v1/[\w{}/-]+(?:\.json)?|/livez|/readyz|/metrics\b)(?!\.)", without_samples(page(path))
        )
    }
    assert named <= served(), f"not served: {sorted(named - served())}"


def test_every_resource_of_the_tm_forum_apis_is_documented() -> None:
    text = page("docs/integrators/apis.md")
    for api in load().apis:
        assert api.base_path.rstrip("/") in text
        for resource in api.resources:
            assert f"`{resource.path}`" in text, f"{api.id} {resource.path}"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_every_metric_follows_the_naming_rules_and_has_a_row(figure: Figure) -> None:
    assert re.fullmatch(r"hansa(_[a-z]+)+", figure.name)
    assert (figure.kind == "counter") == figure.name.endswith("_total")
    assert figure.meaning.endswith(".")
    assert f"| `{figure.name}` | {figure.kind} |" in page("docs/metrics.md")


def test_every_metric_that_a_page_names_exists() -> None:
    known = {figure.name for figure in FIGURES}
    named = {name for path in pages() for name in re.findall(r"`(hansa_[a-z_]+)`", page(path))}
    assert named <= known
