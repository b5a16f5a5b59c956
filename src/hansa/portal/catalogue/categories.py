"""The tree of categories, and one category: what is below it, and what it has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from hansa.core.access import Caller
from hansa.portal.catalogue.fields import Fields, path_of, references_in, text_in
from hansa.portal.catalogue.reading import CATEGORY, CatalogueReads, fields_of
from hansa.portal.catalogue.search_page import ShownHit
from hansa.store import Query, SortKey

CATEGORIES_MAX: Final = 500
"""That the tree shows; there are more to find by searching."""
DEPTH_MAX: Final = 12
"""Levels of a tree; what is further down begins a tree of its own."""


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


async def lone_category(reads: CatalogueReads, caller: Caller, entity_id: str) -> CategoryNode:
    """A category that is not among those of the tree, which has the first by name alone.

    Raises:
        Refused: `Code.NOT_FOUND`.
    """
    fields = fields_of(await reads.one(caller, CATEGORY, entity_id))
    below = tuple(
        CategoryNode(child.id, child.name, "", path_of("categories", child.id), ())
        for child in references_in(fields, "subCategory")
    )
    return category_node(entity_id, fields, below)


def tree_of(categories: Iterable[Fields], total: int) -> CategoryTree:
    """A tree of categories; one whose parent is not among them is a root, and so is one of a circle."""
    by_id = {text_in(one, "id"): one for one in categories}
    parents = _parents(by_id)
    below: dict[str, list[str]] = {}
    for child, above in parents.items():
        below.setdefault(above, []).append(child)
    nodes: dict[str, CategoryNode] = {}
    waiting = deque(one_id for one_id in by_id if one_id not in parents)
    """Where trees begin that have not been made."""

    def node(one_id: str, path: frozenset[str]) -> CategoryNode:
        fields, lower = by_id[one_id], path | {one_id}
        children = [child for child in below.get(one_id, ()) if child not in lower and child not in nodes]
        if len(lower) == DEPTH_MAX:
            waiting.extend(children)
            children = []
        children.sort(key=lambda one: text_in(by_id[one], "name"))
        made = category_node(one_id, fields, tuple(node(child, lower) for child in children))
        nodes[one_id] = made
        return made

    roots: list[CategoryNode] = []
    for circle in (None, *by_id):  # first what has a root; then what is in a circle, from any of its places
        if circle is not None and circle not in nodes:
            waiting.append(circle)
        while waiting:
            if (first := waiting.popleft()) not in nodes:
                roots.append(node(first, frozenset()))
    return CategoryTree(tuple(sorted(roots, key=lambda one: one.name)), nodes, parents, total)


def category_node(one_id: str, fields: Fields, below: tuple[CategoryNode, ...]) -> CategoryNode:
    """A category with those that are below it."""
    name = text_in(fields, "name") or one_id
    return CategoryNode(one_id, name, text_in(fields, "description"), path_of("categories", one_id), below)


def _parents(by_id: Mapping[str, Fields]) -> dict[str, str]:
    """By category, the one above it, as either of the two says it."""
    parents = {
        child.id: above
        for above, one in by_id.items()
        for child in references_in(one, "subCategory")
        if child.id in by_id
    }
    return parents | {
        one_id: text_in(one, "parentId") for one_id, one in by_id.items() if text_in(one, "parentId") in by_id
    }


def search_in(category_id: str) -> str:
    """Path of the search in a category."""
    return f"/search?{urlencode({'type': 'ProductOffering', 'category': category_id})}"
