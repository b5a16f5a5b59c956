"""The field's words, and ours that they replaced.

The glossary's second table, which the rule `dialect` reads from here.

An old word is refused in the names of definitions. It is written in lower case with underscores, and matches
as a run of words in any style: `kept_rows` is in `kept_rows_max`, `KeptRows` and `_kept_rows`. One in
quotation marks is refused as a whole name alone, in exactly this spelling.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import msgspec

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Term(msgspec.Struct, frozen=True):
    """One concept: how the field calls it, and how we did."""

    say: str
    """The field's words, as the glossary has them; alternatives between commas."""
    old: tuple[str, ...]
    unless: tuple[str, ...] = ()
    """Names that contain one of these runs of words are accepted."""


TERMS: Final = (
    Term("result, rows, matches, value", ("found",), ("not_found",)),
    Term("requested", ("asked",)),
    Term("reported, error, message", ("told",)),
    Term("value, actual, granted", ("given",), ("given_name",)),
    Term("cached, retained", ("kept",)),
    Term("expected, needed, requested", ("wanted",)),
    Term("existing, current", ("standing",)),
    Term("added", ("come", "grew")),
    Term("removed, evicted, deleted", ("gone", "shrank")),
    Term("seen, received", ("heard", "news")),
    Term("context", ("surroundings", "around")),
    Term("served resource", ('"Served"',)),
    Term("cache, response cache, row cache", ("kept_answers", "kept_rows")),
    Term("batching, batch pipeline", ("gathering",)),
    Term("defaults, server fields", ("completing", "completion")),
    Term("draft, response", ("drafting", '"Written"', '"written"')),
    Term("fast path", ("whole_answers", "whole_answer")),
    Term("subscription filter", ("wish", "wishes")),
    Term("throttle", ("pace",)),
    Term("filter index", ("shelf",)),
    Term("notifications", ('"Told"',)),
    Term("chunk", ("piece", "pieces")),
    Term("dead letters", ("letters",), ("dead_letters",)),
    Term("files, status reporter", ("desk",)),
    Term("process proposal", ("judge", "find_invalid")),
    Term("prepare proposal", ("select_transactions",)),
    Term("finalize block", ('"finalize"',)),
    Term("write lock", ("turns",)),
    Term("index tail", ('"tail"', '"_tail"', '"Tail"')),
    Term("commit group, changes", ('"Group"',)),
    Term("collection cache", ("known_collections",)),
    Term("search pool", ('"Searches"',)),
    Term("plan", ('"Compiled"',)),
    Term("index scan", ('"Lead"',)),
    Term("posting", ('"Source"',)),
    Term("fingerprints", ("marks",)),
    Term("signal", ("bell",)),
    Term("retry", ("insist", "insistence")),
    Term("dangling references", ("loose_ends", "loose")),
)


def terms_of(glossary: str) -> list[tuple[str, str]]:
    """The rows of the glossary's table of old words: what to say, and ours."""
    _, _, rest = glossary.partition("## The field's words")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", rest.partition("\n## ")[0], re.MULTILINE)
    return [(say, ours.replace("`", "")) for say, ours in rows if not say.startswith(("-", "The field"))]


def words_of(name: str) -> tuple[str, ...]:
    """`_KeptRows2` as kept, rows, 2."""
    return tuple(word.lower() for word in _WORD.findall(name))


def _contains(words: tuple[str, ...], run: str) -> bool:
    part = tuple(run.split("_"))
    return any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))


@cache
def replacement(name: str) -> tuple[str, str] | None:
    """The old word in a name and what to say instead; None when it has none."""
    words = words_of(name)
    for term in TERMS:
        if any(_contains(words, run) for run in term.unless):
            continue
        for old in term.old:
            if name == old.strip('"') if old.startswith('"') else _contains(words, old):
                return old.strip('"'), term.say
    return None
