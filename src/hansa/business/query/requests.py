"""The whole query of a request for a list, or for one entity.

Results are immutable and depend only on the arguments, so that callers may cache them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Final
from urllib.parse import quote

import msgspec

from hansa.business.models import Api, Resource
from hansa.business.query.expanding import depth_of, expand_paths
from hansa.business.query.filters import FilterCompiler, conditions, href_as_id
from hansa.business.query.jsonpath_conditions import jsonpath_conditions
from hansa.business.query.paging import OFFSET_MAX, Paging, number, paging
from hansa.business.query.parameters import Assertion, AssertionGroup, assertion, groups
from hansa.business.query.paths import Path, ResolvedPath, resolve_path
from hansa.business.query.selecting import names_of, selection_of
from hansa.business.query.sorting import sort_keys
from hansa.business.representation import Selection
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.core.refusals import all_refusals
from hansa.store import Condition, Filter, Query

DIRECTIVES: Final = frozenset({"fields", "offset", "limit", "sort", "filter", "depth", "expand"})
"""Parameters that are no filters, also with a dot in front (TMF630 Part 1, section 4.7)."""

_DOTTED: Final = {"." + name: name for name in DIRECTIVES}
_NAMES: Final = {**{name: name for name in DIRECTIVES}, **_DOTTED}
_OF_ENTITY: Final = frozenset({"fields", "depth", "expand"})
_PAGING: Final = frozenset({"offset", "limit"})
_HREF: Final = ("href",)
_SAFE_IN_LINK: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")

Directives = dict[str, list[str]]


class EntityRequest(msgspec.Struct, frozen=True):
    """A request for one entity."""

    fields: Selection | None
    """None for the whole entity."""
    expand: tuple[Path, ...] = ()
    depth: int = 0


class ListRequest(msgspec.Struct, frozen=True):
    """A request for a list."""

    query: Query
    fields: Selection | None
    """None for whole entities."""
    link_query: str
    """The parameters without paging, as received, for links to other pages."""
    expand: tuple[Path, ...] = ()
    depth: int = 0
    is_paged: bool = False
    """The client named a page."""
    is_range: bool = False
    """The client named it in the header Range."""

    def with_page(self, page: Paging) -> ListRequest:
        """The same request for another page."""
        query = msgspec.structs.replace(self.query, offset=page.offset, limit=page.limit)
        return msgspec.structs.replace(self, query=query, is_paged=page.is_requested, is_range=page.is_range)


def entity_request(query_string: bytes, api: Api, resource: Resource, limits: Limits) -> EntityRequest:
    """The request for one entity with that query.

    Raises:
        Refused: `Code.INVALID`, naming a parameter that is not allowed, `Code.MALFORMED`,
            `Code.NOT_IMPLEMENTED` or `Code.URI_TOO_LONG`.
    """
    try:
        directives: Directives = {}
        for group in groups(query_string, limits):
            for asserted in group:
                directives.setdefault(_directive_of_entity(asserted), []).append(asserted.value)
        return EntityRequest(
            selection_of(directives.get("fields", []), limits),
            expand_paths(directives.get("expand", []), api, resource),
            depth_of(directives.get("depth"), limits),
        )
    except Refused as first:
        raise all_refusals(first, _entity_checks(query_string, api, resource, limits)) from None


def _directive_of_entity(asserted: Assertion) -> str:
    """The directive that an assertion is, in the query of one entity."""
    name = _NAMES.get(asserted.name)
    if name not in _OF_ENTITY or asserted.operator is not None:
        raise Refused(
            Code.INVALID,
            f"{asserted.name[:60]!r} is no parameter of a single entity; there are `fields`, `expand` and `depth`.",
        )
    return name


def list_request(
    query_string: bytes,
    api: Api,
    resource: Resource,
    collection_address: str,
    limits: Limits,
    *,
    public_only: bool,
    range_header: bytes | None = None,
    parent: str | None = None,
) -> ListRequest:
    """The request for a list with that query and that header Range.

    `collection_address` is the address of the list, for filters on `href`; `parent` the entity whose
    sub-resources are listed.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`, naming the parameter and the problem;
            `Code.NOT_IMPLEMENTED` for a JSONPath beyond what is supported; `Code.URI_TOO_LONG`.
    """
    if not query_string and range_header is None:
        query = Query(
            resource.collection, limit=limits.list_limit_default, public_only=public_only, parent=parent
        )
        return ListRequest(query, None, "")
    try:
        return _list_request(
            *(query_string, api, resource, collection_address, limits),
            public_only=public_only,
            range_header=range_header,
            parent=parent,
        )
    except Refused as first:
        raise all_refusals(first, _list_checks(query_string, api, resource, limits)) from None


def _list_request(
    query_string: bytes,
    api: Api,
    resource: Resource,
    collection_address: str,
    limits: Limits,
    *,
    public_only: bool,
    range_header: bytes | None,
    parent: str | None,
) -> ListRequest:
    """The same; it raises at the first fault."""
    directives: Directives = {}
    asserted = [_without_directives(group, directives) for group in groups(query_string, limits)]

    def resolve(text: str) -> ResolvedPath:
        return resolve_path(text, api, resource.type)

    filters = conditions(asserted, FilterCompiler(api, limits, resolve), limits)
    paths = directives.get("filter", [])
    if len(paths) > limits.filter_count_max:
        raise Refused(Code.INVALID, f"filter: at most {limits.filter_count_max} JSONPaths.")
    for text in paths:
        filters = (*filters, *jsonpath_conditions("filter", text, api, resource.type, limits))
    page = paging(directives.get("offset"), directives.get("limit"), range_header, limits)
    fields = directives.get("fields")
    sort = directives.get("sort")
    expand = directives.get("expand")
    query = Query(
        type=resource.collection,
        filters=tuple(_stored(one, collection_address) for one in filters),
        sort=sort_keys(sort, api, resource, limits) if sort else (),
        offset=page.offset,
        limit=page.limit,
        public_only=public_only,
        parent=parent,
    )
    return ListRequest(
        query,
        selection_of(fields, limits) if fields else None,
        _without_paging(query_string),
        expand_paths(expand, api, resource) if expand else (),
        depth_of(directives.get("depth"), limits),
        page.is_requested,
        page.is_range,
    )


def _list_checks(
    query_string: bytes, api: Api, resource: Resource, limits: Limits
) -> Iterator[Callable[[], object]]:
    """Checks of the parts of a list's query, each by itself."""
    asserted = yield from _readable(query_string, limits)
    compiler = FilterCompiler(api, limits, partial(resolve_path, api=api, type_name=resource.type))
    for one in asserted:
        name = _NAMES.get(one.name) if one.operator is None else None
        if name is None:
            yield partial(_check_filter, compiler, one)
        elif name == "filter":
            yield partial(jsonpath_conditions, "filter", one.value, api, resource.type, limits)
        else:
            yield from _directive_checks(name, one.value, api, resource, limits)
    yield from _repeated(asserted)


def _entity_checks(
    query_string: bytes, api: Api, resource: Resource, limits: Limits
) -> Iterator[Callable[[], object]]:
    """Checks of the parts of one entity's query, each by itself."""
    asserted = yield from _readable(query_string, limits)
    for one in asserted:
        yield partial(_directive_of_entity, one)
        name = _NAMES.get(one.name)
        if name in _OF_ENTITY and one.operator is None:
            yield from _directive_checks(name, one.value, api, resource, limits)
    yield from _repeated(asserted)


def _readable(
    query_string: bytes, limits: Limits
) -> Generator[Callable[[], object], None, tuple[Assertion, ...]]:
    """Checks that the parts of a query can be read; returns the assertions of those that can."""
    try:
        return tuple(one for group in groups(query_string, limits) for one in group)
    except Refused as refused:
        if refused.code is Code.URI_TOO_LONG:
            return ()
        parts = [part for whole in query_string.split(b"&") for part in whole.split(b";") if part]
    readable: list[Assertion] = []
    for part in parts:
        try:
            readable.append(assertion(part))
        except Refused:
            yield partial(assertion, part)
    return tuple(readable)


def _check_filter(compiler: FilterCompiler, asserted: Assertion) -> None:
    filtered = compiler.filter(asserted)
    if filtered.path == _HREF:
        href_as_id(filtered, "")


def _directive_checks(
    name: str, value: str, api: Api, resource: Resource, limits: Limits
) -> Iterator[Callable[[], object]]:
    """Checks of one directive; names in it are checked one by one."""
    if name in _PAGING:
        yield partial(number, name, [value], 0, OFFSET_MAX)
    elif name == "depth":
        yield partial(depth_of, [value], limits)
    elif name == "fields":
        yield from (partial(selection_of, [one], limits) for one in names_of(value))
    else:
        for one in value.split(","):
            if name == "sort":
                yield partial(sort_keys, [one], api, resource, limits)
            else:
                yield partial(expand_paths, [one], api, resource)


def _repeated(asserted: Iterable[Assertion]) -> Iterator[Callable[[], object]]:
    """Checks of the directives of which there may be one."""
    values: Directives = {}
    for one in asserted:
        name = _NAMES.get(one.name) if one.operator is None else None
        if name in _PAGING:
            values.setdefault(name, []).append(one.value)
    yield from (
        partial(number, name, several, 0, OFFSET_MAX) for name, several in values.items() if len(several) > 1
    )


def _without_directives(group: Iterable[Assertion], directives: Directives) -> AssertionGroup:
    """The filters of a group; its directives, which are about the whole request, go to `directives`."""
    rest: list[Assertion] = []
    for asserted in group:
        name = _NAMES.get(asserted.name) if asserted.operator is None else None
        if name is None:
            rest.append(asserted)
        else:
            directives.setdefault(name, []).append(asserted.value)
    return tuple(rest)


def _stored(condition: Condition, collection: str) -> Condition:
    """A condition on stored attributes; `href` is not stored, and becomes `id`."""
    if isinstance(condition, Filter):
        return href_as_id(condition, collection) if condition.path == _HREF else condition
    conditions_below = getattr(condition, "conditions", None)
    if conditions_below is None:
        return condition
    return type(condition)(tuple(_stored(one, collection) for one in conditions_below))  # type: ignore[call-arg,arg-type]


def _without_paging(query_string: bytes) -> str:
    """A query string without paging, encoded for a Link header (RFC 8288)."""
    parts = [part for part in map(_part_without_paging, query_string.split(b"&")) if part]
    rest = b"&".join(parts)
    if _SAFE_IN_LINK.fullmatch(rest):
        return rest.decode()
    return quote(rest, safe="._~!$&'()*+,;=:@/?%-")


def _part_without_paging(part: bytes) -> bytes:
    """A part of a query string without paging; alternatives separated by `;` remain so."""
    return b";".join(b"" if _is_paging(one) else one for one in part.split(b";"))


def _is_paging(text: bytes) -> bool:
    if b"=" not in text:
        return False
    name, operator, _ = assertion(text)
    return operator is None and _NAMES.get(name) in _PAGING
