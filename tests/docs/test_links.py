"""Links inside the project lead somewhere."""

from __future__ import annotations

import pkgutil
import re

import pytest

from tests.conftest import CHECKOUT
from tests.docs.pages import anchors, links, page, pages, prose, resolve


@pytest.mark.parametrize("path", pages())
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(path: str) -> None:
    broken = []
    for target in links(page(path)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, anchor = resolve(path, target)
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("path", pages())
def test_every_file_and_module_that_a_page_names_exists(path: str) -> None:
    for name in re.findall(r"`([\w./-]+)`", prose(page(path))):
        if name.startswith(("hansa/", "src/", "tests/", "docs/", "engine/", "requirements/", "tools/")):
            assert any((CHECKOUT / top / name).exists() for top in ("", "src")), name
        elif re.fullmatch(r"hansa(\.\w+)+", name) and name != "hansa.toml":
            assert pkgutil.resolve_name(name), name


def test_every_page_can_be_reached_from_the_readme() -> None:
    by_file = {(CHECKOUT / path).resolve(): path for path in pages()}
    reached: set[str] = set()
    waiting = ["README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        targets = [resolve(path, target)[0].resolve() for target in links(page(path)) if "://" not in target]
        waiting += [by_file[target] for target in targets if target in by_file]
    assert set(pages()) == reached, f"no way leads to {sorted(set(pages()) - reached)}"


def test_every_decision_is_in_the_index() -> None:
    index = page("docs/decisions/README.md")
    records = {path.name for path in (CHECKOUT / "docs/decisions").glob("[0-9]*.md")}
    assert records == {name for name in records if f"]({name})" in index}
