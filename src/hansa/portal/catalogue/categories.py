"""The tree of categories, and one category: what is below it, and what it has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec

from hansa.core.access import Caller
from hansa.portal.catalogue.fields import Fields, path_of, references_in, text_in
from hansa.portal.catalogue.reading import CATEGORY, CatalogueReads
from hansa.portal.catalogue.search_page import ShownHit
from hansa.store import Query, SortKey

CATEGORIES_MAX: Final = 500
"""That the tree shows; there are more to find by searching."""


class CategoryNode(msgspec.Struct, frozen=True):
    """A category in the tree."""

    id: str
    name: str
    description: str
    path: str
    below: tuple[CategoryNode, ...]


class CategoriesPage(msgspec.Struct, frozen=True):
    """For the template `categories.html`."""

    roots: tuple[CategoryNode, ...]
    total: int
    is_cut: bool


class CategoryPage(msgspec.Struct, frozen=True):
    """For the template `category.html`."""

    node: CategoryNode
    above: CategoryNode | None
    offerings: tuple[ShownHit, ...]
    total: int
    search: str
    """Path of the search in it."""


class CategoryTree(msgspec.Struct, frozen=True):
    """All categories that somebody may see."""

    roots: tuple[CategoryNode, ...]
    by_id: dict[str, CategoryNode]
    parents: dict[str, str]
    total: int


async def category_tree(reads: CatalogueReads, caller: Caller) -> CategoryTree:
    """The categories that a caller may see, as a tree."""
    query = Query(CATEGORY, sort=(SortKey(("name",)),), limit=CATEGORIES_MAX)
    fields, total = await reads.page(caller, query)
    return tree_of(fields, total)


def tree_of(categories: Iterable[Fields], total: int) -> CategoryTree:
    """A tree of categories; one whose parent is not among them is a root, and so is one of a circle."""
    by_id = {text_in(one, "id"): one for one in categories}
    parents = {
        child.id: above
        for above, one in by_id.items()
        for child in references_in(one, "subCategory")
        if child.id in by_id
    }
    parents |= {
        one_id: text_in(one, "parentId") for one_id, one in by_id.items() if text_in(one, "parentId") in by_id
    }
    below: dict[str, list[str]] = {}
    for child, above in parents.items():
        below.setdefault(above, []).append(child)
    nodes: dict[str, CategoryNode] = {}

    def node(one_id: str, path: frozenset[str]) -> CategoryNode:
        children = tuple(
            node(child, path | {one_id})
            for child in sorted(below.get(one_id, ()), key=lambda one: text_in(by_id[one], "name"))
            if child not in path and child != one_id
        )
        fields = by_id[one_id]
        name = text_in(fields, "name") or one_id
        made = CategoryNode(
            one_id, name, text_in(fields, "description"), path_of("categories", one_id), children
        )
        nodes[one_id] = made
        return made

    roots = [node(one_id, frozenset()) for one_id in by_id if one_id not in parents]
    roots += [node(one_id, frozenset()) for one_id in by_id if one_id not in nodes]
    return CategoryTree(tuple(sorted(roots, key=lambda one: one.name)), nodes, parents, total)


def search_in(category_id: str) -> str:
    """Path of the search in a category."""
    return f"/search?{urlencode({'type': 'ProductOffering', 'category': category_id})}"
