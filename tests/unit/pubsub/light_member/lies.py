"""Every kind of lie that a followed member can tell, by name."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec

from hansa.core.http import HttpRequest, HttpResponse
from hansa.pubsub.ledger.commitments.app_hash import counted
from hansa.pubsub.ledger.commitments.state_trees import record_tree
from hansa.pubsub.ledger.history.segment import HistoryBatch
from hansa.pubsub.ledger.reading.parts import SectionPart, StateParts
from tests.contract.origins import Origin
from tests.support.followed_league import Lie, ScriptedMember, block_of, changed_batches, changed_parts
from tests.support.light_chain import Signer, digest

STRANGERS = [Signer(f"x{number}") for number in range(4)]
FOREIGN = Origin("foreign")


def _everywhere(status: int, body: bytes) -> Lie:
    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member, request, honest
        return HttpResponse(status, {}, body)

    return lie


def _at(place: str, body: bytes) -> Lie:
    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        del member
        return HttpResponse(200, {}, body) if place in request.url else honest

    return lie


def _made_up_head(ahead: int, signers: list[Signer], app_hash: bytes | None = None) -> Lie:
    """Blocks that nobody of the league signed, or too few."""

    def lie(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
        parts = urlsplit(request.url)
        if "/light/" not in parts.path or parts.path.endswith("/blocks"):
            return honest
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        height = int(query.get("height", member.newest.height + ahead))
        block = block_of(height, signers, app_hash=app_hash)
        return member.light(parts.path, query, block)

    return lie


def _minority_head(member: ScriptedMember, request: HttpRequest, honest: HttpResponse) -> HttpResponse:
    """A block with the league's set that one of its four validators signed."""
    parts = urlsplit(request.url)
    if "/light/" not in parts.path or parts.path.endswith("/blocks"):
        return honest
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    height = int(query.get("height", member.newest.height + 7))
    league = member.league
    return member.light(parts.path, query, league.forked_block(height, digest("other"), league.signers[:1]))


def _with_section(parts: StateParts, name: str, change: SectionPart) -> StateParts:
    return msgspec.structs.replace(
        parts, sections=tuple(change if one.name == name else one for one in parts.sections)
    )


def _section(parts: StateParts, name: str) -> SectionPart:
    return next(one for one in parts.sections if one.name == name)


def _record_changed(member: ScriptedMember, parts: StateParts) -> StateParts:
    """A member's endpoint is another one; the section's content stays."""
    del member
    section = _section(parts, "registry")
    records = {key: body.replace(b".example", b".evil123") for key, body in (section.records or {}).items()}
    return _with_section(parts, "registry", msgspec.structs.replace(section, records=records))


def _section_changed(member: ScriptedMember, parts: StateParts) -> StateParts:
    """The same, and the content is that of the changed records."""
    changed = _section(_record_changed(member, parts), "registry")
    tree = record_tree("registry", changed.records or {})
    content = counted(tree.count, tree.root)
    return _with_section(parts, "registry", msgspec.structs.replace(changed, content=content))


def _without_records(member: ScriptedMember, parts: StateParts) -> StateParts:
    del member
    return msgspec.structs.replace(
        parts, sections=tuple(msgspec.structs.replace(one, records=None) for one in parts.sections)
    )


def _sections_swapped(member: ScriptedMember, parts: StateParts) -> StateParts:
    del member
    return msgspec.structs.replace(parts, sections=parts.sections[::-1])


def _unknown_rules(member: ScriptedMember, parts: StateParts) -> StateParts:
    del member
    return _with_section(parts, "ruleset", SectionPart("ruleset", b"hansa-ledger/99"))


def _short_content(member: ScriptedMember, parts: StateParts) -> StateParts:
    del member
    return _with_section(parts, "events", SectionPart("events", b"\x00"))


def _old_state(member: ScriptedMember, parts: StateParts) -> StateParts:
    """The state before the newest, under the newest header."""
    views = member.league.views
    heights = sorted(views)
    return (
        msgspec.structs.replace(views[heights[-2]].parts, height=parts.height) if len(heights) > 1 else parts
    )


def _contents_changed(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    """Events that were never signed, in the place of those that were."""
    changed = [FOREIGN.event(f"made-up-{number}") for number in range(len(batches[0].contents))]
    return [msgspec.structs.replace(batches[0], contents=tuple(changed)), *batches[1:]]


def _foreign_batch(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    """A batch that a stranger signed, whole in itself."""
    contents = FOREIGN.events(len(batches[0].contents))
    jws = FOREIGN.signer.sign(contents, 1)
    return [msgspec.structs.replace(batches[0], contents=tuple(contents), jws=jws), *batches[1:]]


def _contents_reordered(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return [msgspec.structs.replace(one, contents=one.contents[::-1]) for one in batches]


def _batches_reordered(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return batches[::-1] if len(batches) > 1 else []


def _repeated(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    """The first batch again, where the next one should be."""
    first = batches[0]
    return [
        first,
        *(msgspec.structs.replace(first, first_position=one.first_position) for one in batches[1:]),
    ]


def _shifted(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return [msgspec.structs.replace(one, first_position=one.first_position + 1) for one in batches]


def _other_time(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return [msgspec.structs.replace(one, time_ms=one.time_ms + 1) for one in batches]


def _other_height(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return [msgspec.structs.replace(one, height=one.height + 1) for one in batches]


def _largest_numbers(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return [msgspec.structs.replace(one, height=2**63, time_ms=2**63) for one in batches]


def _no_jws(batches: list[HistoryBatch]) -> list[HistoryBatch]:
    return [msgspec.structs.replace(one, jws="e30.e30.e30") for one in batches]


LIES: Mapping[str, Lie] = {
    "garbage everywhere": _everywhere(200, b"\x00\xff garbage"),
    "nothing everywhere": _everywhere(200, b""),
    "an error everywhere": _everywhere(500, b"{}"),
    "not found everywhere": _everywhere(404, b"<html>"),
    "deep JSON": _everywhere(200, b"[" * 50_000),
    "garbage for the state": _at("/ledger/state", b"{"),
    "garbage for batches": _at("/ledger/batches", b"x\x9c"),
    "no batches": changed_batches(lambda batches: batches[:0]),
    "the first batch alone": changed_batches(lambda batches: batches[:1]),
    "no last batch": changed_batches(lambda batches: batches[:-1]),
    "other contents": changed_batches(_contents_changed),
    "a stranger's batch": changed_batches(_foreign_batch),
    "contents in another order": changed_batches(_contents_reordered),
    "batches in another order": changed_batches(_batches_reordered),
    "a batch twice": changed_batches(_repeated),
    "positions shifted": changed_batches(_shifted),
    "another block time": changed_batches(_other_time),
    "another block height": changed_batches(_other_height),
    "the largest numbers": changed_batches(_largest_numbers),
    "no JWS": changed_batches(_no_jws),
    "a changed record": changed_parts(_record_changed),
    "a changed section": changed_parts(_section_changed),
    "no records": changed_parts(_without_records),
    "sections in another order": changed_parts(_sections_swapped),
    "rules of the future": changed_parts(_unknown_rules),
    "a section cut short": changed_parts(_short_content),
    "the state before": changed_parts(_old_state),
    "blocks of strangers": _made_up_head(1000, STRANGERS),
    "blocks of strangers at the same height": _made_up_head(0, STRANGERS),
    "a block of a minority": _minority_head,
}
