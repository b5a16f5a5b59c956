"""A query string becomes a `SearchRequest`.

    q            words, "phrases", -without, begin*
    type, category, provider, origin, price_model, price, status, compliance, region
                 values of facets; of one that is repeated, any of them
    price_from, price_to
    sort         relevance, price or newest
    offset, limit
    typing       true: the last word is unfinished

Any other parameter is a condition on an attribute of offerings, as lists of them take it.
"""

from __future__ import annotations

import math
from typing import Final, get_args

from hansa.business.query.paging import number
from hansa.business.query.parameters import check_size, decoded
from hansa.business.search.results import FacetName, FacetSelection, SearchRequest, Sort
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
OFFSET_MAX: Final = 1000
"""Nobody turns so many pages; what is further down is found by more words."""
VALUES_MAX: Final = 50
"""That are selected, of all facets together."""
FACETS: Final[tuple[FacetName, ...]] = get_args(FacetName)
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
SUGGESTIONS_MAX: Final = 10


def search_request(query_string: bytes, limits: Limits) -> SearchRequest:
    """The request of a query string.

    Raises:
        Refused: `Code.INVALID`, naming the parameter and the problem; `Code.MALFORMED`; `Code.URI_TOO_LONG`.
    """
    values, filters = _split(query_string, limits)
    selections = tuple(
        FacetSelection(name, chosen) for name in FACETS if (chosen := _chosen(values.get(name, [])))
    )
    if sum(len(one.values) for one in selections) > VALUES_MAX:
        raise Refused(Code.INVALID, f"At most {VALUES_MAX} values of facets can be selected.")
    sort = _one(values, "sort") or SORTS[0]
    known = next((one for one in SORTS if one == sort), None)
    if known is None:
        raise Refused(Code.INVALID, f"sort: must be one of {', '.join(SORTS)}.")
    offset = number("offset", values.get("offset"), 0, OFFSET_MAX)
    limit = number("limit", values.get("limit"), LIMIT_DEFAULT, LIMIT_MAX)
    return SearchRequest(
        _one(values, "q"),
        selections,
        _amount(values, "price_from"),
        _amount(values, "price_to"),
        filters,
        known,
        offset,
        limit,
        _is_true(values, "typing"),
    )


def suggestions_text(query_string: bytes, limits: Limits) -> str:
    """The text of a request for suggestions.

    Raises:
        Refused: `Code.INVALID`, `Code.MALFORMED` or `Code.URI_TOO_LONG`.
    """
    values, filters = _split(query_string, limits)
    if filters or not values.keys() <= {"q"}:
        raise Refused(Code.INVALID, "Suggestions have the parameter q alone.")
    return _one(values, "q")


_OWN: Final = frozenset({"q", "sort", "offset", "limit", "typing", "price_from", "price_to", *FACETS})


def _split(query_string: bytes, limits: Limits) -> tuple[dict[str, list[str]], str]:
    """The values of our parameters, and the rest as it is."""
    check_size(query_string, limits)
    values: dict[str, list[str]] = {}
    rest: list[bytes] = []
    for part in query_string.split(b"&"):
        raw_name, sign, raw = part.partition(b"=")
        name = decoded(raw_name)
        if name in _OWN and (sign or not raw):
            values.setdefault(name, []).append(decoded(raw))
        elif part:
            rest.append(part)
    return values, b"&".join(rest).decode("latin-1")


def _one(values: dict[str, list[str]], name: str) -> str:
    several = values.get(name, [])
    if len(several) > 1:
        raise Refused(Code.INVALID, f"{name}: give it once.")
    return several[0].strip(" ") if name != "q" and several else several[0] if several else ""


def _chosen(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))


def _amount(values: dict[str, list[str]], name: str) -> float | None:
    text = _one(values, name)
    if not text:
        return None
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or len(text) > 40:
        raise Refused(Code.INVALID, f"{name}: must be a number.")
    return amount


def _is_true(values: dict[str, list[str]], name: str) -> bool:
    text = _one(values, name)
    if text not in {"", "true", "false"}:
        raise Refused(Code.INVALID, f"{name}: must be true or false.")
    return text == "true"
