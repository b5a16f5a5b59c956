"""The chain of the audit log: whatever is done to a record shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.audit import (
    NO_HASH,
    Anchor,
    AnchorCheck,
    AnchoredLog,
    AnnouncedAnchor,
    AuditKind,
    AuditRecord,
    ChainStart,
    LogStart,
    anchor_id,
    anchor_nonce,
    chained,
    export_line,
    ranges,
    read_line,
    read_start,
    verified,
)
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_bound_to

DID = "did:web:lubeck.example"
BEGIN = ChainStart()


def log_of(count: int, start: ChainStart = BEGIN, note: str = "") -> list[AuditRecord]:
    records: list[AuditRecord] = []
    last = start
    for seq in range(start.seq + 1, start.seq + count + 1):
        records.append(record_after(last, "received", {"note": note, "positions": [[seq, seq]]}))
        last = end_of(records)
    return records


def record_after(last: ChainStart, kind: AuditKind, content: dict[str, object]) -> AuditRecord:
    seq, time, raw = last.seq + 1, f"2026-01-01T00:00:{last.seq % 60:02d}Z", canonical_json(content)
    return AuditRecord(seq, time, kind, raw, chained(last.hash, seq, time, kind, raw))


def end_of(records: Sequence[AuditRecord]) -> ChainStart:
    return ChainStart(records[-1].seq, records[-1].hash)


def announced(*records: AuditRecord) -> list[AnnouncedAnchor]:
    """Anchors of some records as the ledger has them, at positions 10, 20 and so on."""
    return [
        AnnouncedAnchor(
            10 * n, "2026-01-02T00:00:00Z", Anchor(anchor_id(DID), one.seq, one.hash.hex()).hashlink
        )
        for n, one in enumerate(records, 1)
    ]


def fails(records: Sequence[AuditRecord], start: ChainStart = BEGIN) -> str:
    with pytest.raises(Refused) as error:
        list(verified(records, start))
    assert error.value.code is Code.PROOF_INVALID
    return error.value.message


def compared(
    records: Sequence[AuditRecord], anchors: Sequence[AnnouncedAnchor], start: ChainStart = BEGIN
) -> AnchoredLog:
    check = AnchorCheck(DID, anchors, start)
    for one in verified(records, start):
        check.see(one)
    return check.report()


def is_not_the_log(
    records: Sequence[AuditRecord], anchors: Sequence[AnnouncedAnchor], start: ChainStart = BEGIN
) -> str:
    with pytest.raises(Refused) as error:
        compared(records, anchors, start)
    assert error.value.code is Code.PROOF_INVALID
    return error.value.message


# -- the chain ---------------------------------------------------------------------------------------------


def test_a_log_holds_whole_and_from_where_it_was_pruned() -> None:
    records = log_of(9)
    assert list(verified(records, BEGIN)) == records
    assert list(verified(records[4:], end_of(records[:4]))) == records[4:]


@given(st.integers(0, 8), st.sampled_from(["seq", "time", "kind", "content", "hash"]))
def test_no_record_can_be_changed(index: int, field: str) -> None:
    records = log_of(9)
    value = {"seq": 99, "time": "x", "kind": "served", "content": b"{}", "hash": bytes(32)}[field]
    fails(
        [*records[:index], msgspec.structs.replace(records[index], **{field: value}), *records[index + 1 :]]
    )


@given(st.integers(0, 7), st.integers(0, 7))
def test_no_record_can_be_left_out_moved_or_repeated(first: int, second: int) -> None:
    records = log_of(9)
    fails([*records[:first], *records[first + 1 :]])
    fails([*records[: first + 1], *records[first:]])
    if first != second:
        swapped = list(records)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        fails(swapped)


# -- anchors -----------------------------------------------------------------------------------------------


def test_a_member_has_one_identifier_for_its_anchors_and_nobody_else_can_use_it() -> None:
    assert anchor_id(DID) == anchor_id(DID) != anchor_id("did:web:bergen.example")
    assert is_bound_to(anchor_id(DID), DID, anchor_nonce(DID))
    assert not is_bound_to(anchor_id(DID), "did:web:bergen.example", anchor_nonce(DID))


def test_a_log_that_is_whole_has_the_records_that_were_anchored() -> None:
    records = log_of(9)
    report = compared(records, announced(records[2], records[6]))
    assert (report.matched, report.lost, report.last_seq) == (2, 0, 7)
    pruned = compared(records[5:], announced(records[2], records[6]), end_of(records[:5]))
    assert (pruned.matched, pruned.last_seq) == (1, 7)
    emptied = compared(records[7:], announced(records[2], records[6]), end_of(records[:7]))
    assert (emptied.matched, emptied.last_seq) == (1, 7)


@given(st.integers(0, 6), st.integers(0, 6))
def test_a_log_that_was_written_anew_or_cut_is_not_the_one_that_was_anchored(kept: int, added: int) -> None:
    records = log_of(9)
    anchors = announced(records[2], records[6])
    start = end_of(records[:kept]) if kept else BEGIN
    is_not_the_log([*records[:kept], *log_of(added, start, "written anew")], anchors)


@given(st.integers(1, 6))
def test_saying_that_the_beginning_was_pruned_hides_nothing(begin: int) -> None:
    records = log_of(9)
    anchors = announced(records[2], records[6])
    forged = log_of(9 - begin, ChainStart(begin, b"\1" * 32), "written anew")
    is_not_the_log(forged, anchors, ChainStart(begin, b"\1" * 32))


def test_without_anchors_on_the_ledger_nothing_is_shown() -> None:
    is_not_the_log(log_of(3), [])
    is_not_the_log(log_of(3), announced(*log_of(3, note="another member's")))


def test_what_a_restored_backup_lost_is_reported_when_the_log_says_so_itself() -> None:
    records = log_of(9)
    anchors = announced(records[2], records[6], records[8])
    backup = records[:4]
    silent = [*backup, *log_of(2, end_of(backup), "after the restore")]
    assert "at position 20" in is_not_the_log(silent, anchors)
    half = record_after(end_of(backup), "restored", {"positions": [[20, 20]]})
    assert "at position 30" in is_not_the_log([*backup, half], anchors)
    whole = record_after(end_of(backup), "restored", {"positions": [[20, 20], [30, 30]]})
    after = [*backup, whole, *log_of(2, ChainStart(whole.seq, whole.hash))]
    report = compared(after, [*anchors, *announced(*records[:3], after[-1])[-1:]])
    assert (report.matched, report.lost, report.last_seq) == (2, 2, after[-1].seq)


@pytest.mark.parametrize("content", [{}, {"positions": 3}, {"positions": [[0]]}])
def test_a_loss_in_an_unknown_form_is_refused(content: dict[str, object]) -> None:
    records = [*log_of(1), record_after(end_of(log_of(1)), "restored", content)]
    is_not_the_log(records, announced(records[0]))


def test_a_loss_may_be_a_range_of_very_many_positions() -> None:
    lost, records = log_of(2), log_of(1, note="written anew")
    records.append(record_after(end_of(records), "restored", {"positions": [[1, 10**12]]}))
    report = compared(records, announced(*lost, records[-1]))
    assert (report.matched, report.lost) == (1, 2)


# -- files -------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60)))
def test_ranges_have_the_positions_and_no_others(positions: list[int]) -> None:
    result = ranges(positions)
    assert [n for first, last in result for n in range(first, last + 1)] == sorted(set(positions))
    assert all(after[0] > before[1] + 1 for before, after in pairwise(result))


def test_an_export_is_read_as_it_was_written() -> None:
    records = log_of(3)
    assert [read_line(export_line(one)) for one in records] == records
    start = LogStart(DID, 4, records[0].hash.hex())
    assert read_start(start.line()) == start
    assert start.chain == ChainStart(4, records[0].hash)
    assert LogStart(DID, 0, NO_HASH.hex()).chain == BEGIN


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b'{"member":"did:web:a","after":1,"hash":"zz"}',
        b'{"member":"did:web:a","after":-1,"hash":"%s"}' % (b"00" * 32),
        b'{"member":"did:web:a","after":0,"hash":"%s"}' % (b"11" * 32),
        b'{"seq":-1,"time":"","kind":"served","content":{},"hash":""}',
    ],
)
def test_what_is_no_export_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        read_start(raw).chain.seq.bit_length()
    with pytest.raises(Refused):
        read_line(raw)
