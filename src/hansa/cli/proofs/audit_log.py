"""`hansa audit export|verify`: the audit log of a marketplace in a file, and whether it holds.

A file is JSON Lines: whose log it is and where it begins, then the records in order. That the chain holds is
seen in the file alone. That it is the log that was written, and all of it, is seen by the anchors: with a
marketplace of the league, any but the one that is audited, all of them are read from its ledger and compared.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from hansa.api.audit.log import AUDIT_PATH
from hansa.cli.client import PatientClient, refusal
from hansa.cli.output import Output
from hansa.core.audit import (
    AnchorCheck,
    AnchoredLog,
    AnnouncedAnchor,
    ChainStart,
    LogStart,
    anchor_id,
    invalid_log,
    read_line,
    read_start,
    verified,
)
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.files import read_failure, write_failure
from hansa.core.identifiers import entity_key
from hansa.core.instants import moment

PAGE_SIZE: Final = 1000
EVENTS_MAX: Final = 500


def run_export(url: str, token: str | None, file: Path | None, output: Output) -> None:
    """Write the audit log of a marketplace to a file or to stdout.

    Raises:
        HansaError: The marketplace cannot be reached or refuses; the file cannot be written.
    """
    if file is None:
        asyncio.run(_copy(url, token, sys.stdout.buffer))
        sys.stdout.flush()
        return
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as target:
            count = asyncio.run(_copy(url, token, target))
        partial.replace(file)
    except OSError as error:
        raise write_failure(file, error) from error
    finally:
        partial.unlink(missing_ok=True)
    if output.as_json:
        output.document({"file": str(file), "records": count})
    else:
        output.message(f"{file}: {count} records. Check them anywhere: hansa audit verify {file}")


async def _copy(url: str, token: str | None, target: BinaryIO) -> int:
    """Write a log, a page at a time; how many records."""
    count = 0
    async for part in _pages(url, token):
        target.write(part)
        count += part.count(b"\n")
    return count - 1


async def _pages(url: str, token: str | None) -> AsyncIterator[bytes]:
    after: int | None = None
    async with PatientClient(url, token) as client:
        while True:
            parameters = [("after", str(after or 0)), ("limit", str(PAGE_SIZE))]
            response = await client.request("GET", AUDIT_PATH, parameters=parameters)
            if response.status != 200:
                raise refusal(response, client.url)
            if after is None:
                seq, _, hash = response.headers.get("x-chain-start", "").partition(" ")
                if not (seq.isascii() and seq.isdigit()):
                    raise invalid_log("the marketplace does not say where it begins")
                after = int(seq)
                yield LogStart(response.headers.get("x-chain-member", ""), after, hash).line()
            lines = response.body.splitlines()
            if not lines:
                return
            if read_line(lines[0]).seq != after + 1:
                raise Refused(
                    Code.CONFLICT, "Old records were removed while the log was exported. Export it again."
                )
            yield response.body
            after = read_line(lines[-1]).seq


def run_verify(
    file: Path, url: str | None, until: datetime | None, output: Output, *, accept_losses: bool
) -> None:
    """Verify a log in a file, and compare it with its anchors on the ledger of a league.

    Raises:
        Refused: `Code.PROOF_INVALID`, naming what does not hold.
        HansaError: The marketplace cannot be reached; the file cannot be read.
    """
    try:
        with ExitStack() as stack:
            lines = stack.enter_context(file.open("rb"))
            start = _start(file, next(lines, b""))
            check = None
            if url is not None:
                announced = asyncio.run(_announced(url, start.member, until))
                check = AnchorCheck(start.member, announced, start.chain)
            last, kinds = start.chain, Counter[str]()
            for record in verified(map(read_line, lines), last):
                kinds[record.kind] += 1
                last = ChainStart(record.seq, record.hash)
                if check is not None:
                    check.see(record)
    except OSError as error:
        raise read_failure(file, error, "hansa audit export writes one.") from error
    anchors = check.report() if check is not None else None
    if anchors is not None and anchors.lost and not accept_losses:
        raise invalid_log(
            f"it says itself that it was continued from an older backup: {anchors.lost} anchors on the ledger are of "
            "records that are not in it. With --accept-losses the rest is verified"
        )
    _report(file, start, last, kinds, anchors, output)


def _start(file: Path, line: bytes) -> LogStart:
    """The first line of a file."""
    try:
        return read_start(line)
    except Refused as error:
        message = f"{file} is no audit log: {error.message} hansa audit export writes one."
        raise Refused(error.code, message) from error


def _report(
    file: Path,
    start: LogStart,
    last: ChainStart,
    kinds: Counter[str],
    anchors: AnchoredLog | None,
    output: Output,
) -> None:
    count = last.seq - start.after
    report: dict[str, Any] = {
        "member": start.member,
        "records": count,
        "first": start.after + 1,
        "last": last.seq,
        "hash": last.hash.hex(),
        "kinds": dict(sorted(kinds.items())),
    }
    text = f"{file}: the chain of {count} records of {start.member} holds, from {start.after + 1} to {last.seq}. "
    if anchors is None:
        text += (
            "That none is missing at its end, and that it was not written anew, is seen with --ledger URL."
        )
    else:
        report |= {
            "anchors": anchors.matched,
            "anchors_lost": anchors.lost,
            "anchored_to": anchors.last_seq,
            "anchored_at": anchors.last_time,
        }
        text += (
            f"{anchors.matched} anchors on the ledger are of its records, the last of record {anchors.last_seq}, at "
            f"{anchors.last_time}; {last.seq - anchors.last_seq} records after that are not anchored."
        )
        if anchors.lost:
            text += f" {anchors.lost} anchors are of records that were lost when a backup was restored."
    if output.as_json:
        output.document(report)
    else:
        output.message(text)


async def _announced(url: str, did: str, until: datetime | None) -> list[AnnouncedAnchor]:
    """The anchors of a member on the ledger, in order."""
    anchors: list[AnnouncedAnchor] = []
    key, after = entity_key(did, anchor_id(did)), 0
    async with PatientClient(url) as client:
        while True:
            parameters = [("entity", key), ("issuer", did), ("after", str(after)), ("limit", str(EVENTS_MAX))]
            page = await client.get("/league/v1/events", parameters)
            for one in page["events"]:
                at = moment(str(one["time"]))
                if until is None or (at is not None and at <= until):
                    event = one["event"]
                    anchors.append(AnnouncedAnchor(one["position"], one["time"], event["hashlink"]))
            if page["scanned_to"] >= page["last_position"]:
                return anchors
            if page["scanned_to"] <= after:
                raise Unavailable(Code.UNAVAILABLE, f"{url} does not go on with its events.")
            after = page["scanned_to"]
