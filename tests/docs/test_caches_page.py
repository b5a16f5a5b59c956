"""docs/caches.md lists every cache of the product, with the module that owns it."""

from __future__ import annotations

import ast

from tests.conftest import CHECKOUT
from tests.docs.pages import page, table_rows
from tests.tidy.source import project_files

CACHES = {"hansa.core.cache.Cache", "hansa.core.cache.FunctionCache"}


def caches() -> dict[str, str]:
    """Module by name of every cache that the product makes."""
    owners: dict[str, str] = {}
    for source in project_files(CHECKOUT):
        if not source.is_python or source.area != "src":
            continue
        module = source.path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and source.dotted(node.func) in CACHES:
                name = ast.literal_eval(node.args[0])
                assert isinstance(name, str), f"{module}: a cache has a constant name"
                assert name not in owners, f"two caches are called {name}"
                owners[name] = module
    return owners


def test_every_cache_is_documented_and_no_other_is() -> None:
    documented = {row[0].strip("`"): row[1].strip("`") for row in table_rows(page("docs/caches.md"))[1:]}
    assert documented == caches()
