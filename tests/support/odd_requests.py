"""Hypothesis strategies for requests that hardly anybody sends: queries, bodies, patches and headers.

They are made of what the APIs understand (names of attributes, operators, paths, media types) and of what
they should not (other types, odd characters, great numbers, deep nesting), since a request of nonsense alone
is refused before it gets far.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hypothesis import strategies as st

ODD_TEXTS: Final = (
    *(
        "",
        " ",
        "*",
        ".",
        "..",
        "/",
        "%",
        "$",
        "@",
        "'",
        '"',
        "\\",
        "\x00",
        "\u0085",
        "\u202e",
        "\ufeff",
        "\ud800",
    ),
    *("true", "null", "NaN", "-0", "1e999", "9" * 400, "0x10", "٣", "ß", "İ", "e\u0301", "😀" * 20),
    *("2026-02-30", "2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "P1D"),
    *("urn:ngsi-ld:x:1", "http://xn--/", "javascript:alert(1)", "__proto__", "constructor", "{{7*7}}"),
)
ODD_NUMBERS: Final = (
    "0",
    "-0",
    "1E400",
    "-1e-400",
    "9" * 30,
    "1." + "0" * 300,
    "18446744073709551616",
    "NaN",
)
"""As they stand in JSON, which Python's own encoder does not write."""
OPERATORS: Final = (
    "",
    ".eq",
    ".gt",
    ".gte",
    ".lt",
    ".lte",
    ".ne",
    ".regex",
    ".regex.eq",
    ".size",
    ".x",
    "..",
)
PATTERNS: Final = (
    "a*",
    "(a|b)*$",
    "[",
    "(?i)x",
    "\\d{1000}",
    "(a{9}){9}",
    "^",
    "(?=x)",
    "\\1",
    "\\p{Lu}",
    ".",
)
MEDIA_TYPES: Final = (
    "application/json",
    "application/json; charset=utf-16",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/json-patch-query+json",
    "application/x-ndjson",
    "text/plain",
    "a/b",
)

texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts


def json_values(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """JSON values of any type, whose objects have these names."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=12,
    )


def queries(names: Sequence[str], identifiers: Sequence[str]) -> st.SearchStrategy[str]:
    """Query strings."""
    name = st.sampled_from(names) | texts
    path = st.lists(name, min_size=1, max_size=3).map(".".join)
    value = texts | st.sampled_from(PATTERNS) | st.sampled_from(identifiers) | st.integers().map(str)
    several = st.lists(path.flatmap(lambda one: st.sampled_from((one, f"-{one}"))), max_size=4).map(",".join)
    parameter = st.one_of(
        st.tuples(path.flatmap(lambda one: st.sampled_from([one + op for op in OPERATORS])), value),
        st.tuples(st.sampled_from(("fields", "sort", "expand", "type", "state")), several),
        st.tuples(
            st.sampled_from(("limit", "offset", "depth", "after", "from")), value | st.sampled_from("0123")
        ),
        st.tuples(st.just("filter"), json_paths(names)),
    )
    encoded = parameter.map(lambda one: f"{quoted(one[0])}={quoted(one[1])}")
    return st.lists(encoded | texts.map(quoted), max_size=4).map("&".join)


def json_paths(names: Sequence[str]) -> st.SearchStrategy[str]:
    """JSONPaths, most of which can be parsed."""
    name = st.sampled_from(names)
    literal = st.sampled_from(("1", "'x'", '"x"', "true", "null", "/a.*/", "@.id", "''", "1e999", "-"))
    step = st.one_of(
        name.map(lambda one: f".{one}"),
        name.map(lambda one: f"..{one}"),
        name.map(lambda one: f"['{one}']"),
        st.sampled_from(("[*]", "[0]", "[-1]", "[0:2]", "[::0]", "..*", ".length()", ".min()", "..", "[")),
    )
    steps = st.lists(step, max_size=4).map("".join)
    relation = st.sampled_from(("==", "!=", "<", ">=", "=~", "&&", "||", "in", " "))
    predicate = st.builds(
        lambda left, how, right: f"[?(@{left}{how}{right})]",
        steps,
        relation,
        literal | steps.map("@".__add__),
    )
    return st.lists(steps | predicate, max_size=3).map(lambda parts: "$" + "".join(parts))


def bodies(example: Mapping[str, Any], names: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Bodies near an example: attributes replaced, added, removed, named twice, in odd spellings."""
    value = json_values(st.sampled_from(names) | texts)
    changed = st.dictionaries(st.sampled_from([*example, *names]) | texts, value, max_size=3).map(
        lambda changes: _encoded({**example, **changes})
    )
    number = st.builds(_with_raw, st.just(example), st.sampled_from(names), st.sampled_from(ODD_NUMBERS))
    twice = st.sampled_from(names).map(lambda name: b'{"%b":1,"%b":2}' % (name.encode(), name.encode()))
    deep = st.builds(
        lambda name, n: f'{{"{name}":{"[" * n}{"]" * n}}}'.encode(),
        st.sampled_from(names),
        st.integers(1, 200),
    )
    wide = st.builds(
        lambda name, n: f'{{"{name}":[{",".join(["{}"] * n)}]}}'.encode(),
        st.sampled_from(names),
        st.integers(1, 12_000),
    )
    return changed | changed | value.map(_encoded) | number | twice | deep | wide | st.binary(max_size=20)


def patches(example: Mapping[str, Any], names: Sequence[str]) -> st.SearchStrategy[bytes]:
    """JSON Patches and JSON Patch Queries."""
    step = st.sampled_from([*example, *names]) | st.sampled_from(
        ("-", "0", "1", "01", "-1", "~0", "~2", "", "*")
    )
    pointer = st.lists(step, max_size=4).map(lambda steps: "".join(f"/{one}" for one in steps))
    operation = st.fixed_dictionaries(
        {
            "op": st.sampled_from(("add", "remove", "replace", "move", "copy", "test", "x", "")),
            "path": pointer | json_paths(names) | texts,
        },
        optional={"from": pointer, "value": json_values(st.sampled_from(names)), "x": scalars},
    )
    return st.lists(operation, max_size=6).map(_encoded) | bodies(example, names)


@st.composite
def headers(draw: st.DrawFn, identifiers: Sequence[str]) -> dict[str, str]:
    """Headers of a request, without its credentials."""
    odd = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12)
    value = odd | st.sampled_from(
        ("*", "W/", '"x"', "items=0-", "items=5-1", "bytes=0-1", "respond-async", "q=2")
    )
    names = (
        "accept",
        "if-match",
        "if-none-match",
        "range",
        "prefer",
        "if-modified-since",
        "if-unmodified-since",
    )
    more = (
        "origin",
        "host",
        "content-length",
        "access-control-request-method",
        "last-event-id",
        "hansa-signature",
    )
    drawn = draw(st.dictionaries(st.sampled_from((*names, *more)), value, max_size=3))
    drawn["content-type"] = draw(st.sampled_from(MEDIA_TYPES))
    if draw(st.integers(0, 9)) == 0:
        drawn["content-encoding"] = draw(st.sampled_from(("gzip", "br", "identity", "gzip, gzip")))
    return drawn


def in_coding(body: bytes, head: Mapping[str, str]) -> bytes:
    """A body as its head announces it, most of the time."""
    return gzip.compress(body, 1) if head.get("content-encoding") == "gzip" and len(body) % 3 else body


def quoted(text: str) -> str:
    """A text as it stands in a target, lone surrogates and all."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="*.,:;@$'()[]")


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _with_raw(example: Mapping[str, Any], name: str, raw: str) -> bytes:
    return _encoded({**example, name: "RAW"}).replace(b'"RAW"', raw.encode())
