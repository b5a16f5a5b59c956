"""`hansa peers`: the other members as origins, as sources of entities, and as followers of a marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.cli.client import PatientClient, refusal
from hansa.cli.output import Output
from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable

PATH: Final = "/league/v1/peers"
RETRY_PATH: Final = "/league/v1/replicas/retry"
HEADINGS: Final = (
    *("member", "status", "here", "pending", "failing", "p50", "p95", "had", "wrong", "evidence"),
    "has of ours",
)


def run_peers(url: str, token: str | None, retry_now: str | None, output: Output) -> None:
    """Show the other members; have what waits for one of them requested again at once.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> list[Any]:
        async with PatientClient(url, token) as client:
            peers: list[Any] = await client.get(PATH)
            if retry_now is not None:
                body = msgspec.json.encode({"origin": _did(peers, retry_now), "states": ["pending"]})
                response = await client.request("POST", RETRY_PATH, body=body)
                if response.status != 200:
                    raise refusal(response, client.url)
                output.message(f"{printable(retry_now)} is requested again now.")
            return peers

    peers = asyncio.run(run())
    if output.as_json:
        output.document(peers)
    elif peers:
        output.table(HEADINGS, [_row(peer) for peer in peers])
    else:
        output.message("None.")


def _did(peers: Sequence[Mapping[str, Any]], name: str) -> str:
    dids = [str(peer["did"]) for peer in peers if name in {peer["did"], peer["name"]}]
    if len(dids) != 1:
        known = ", ".join(sorted(printable(str(peer["name"])) for peer in peers))
        raise Refused(Code.INVALID, f"--retry-now: not the name or DID of one member ({known}).")
    return dids[0]


def _row(peer: Mapping[str, Any]) -> list[str]:
    origin, source, follower = peer["origin"] or {}, peer["source"], peer["follower"]
    failing = f"{origin['problem']}, since {origin['failing_since']}" if origin.get("failing_since") else ""
    proved = f" ({peer['proved']} proved)" if peer["proved"] else ""
    said = f"{follower['stored']} of {follower['heads']}" if follower else str(peer["problem"] or "")
    return [
        printable(str(peer["name"])),
        printable(str(peer["status"])),
        f"{origin.get('stored', 0)} of {origin.get('heads', 0)}",
        str(origin.get("pending", 0)),
        printable(failing),
        _seconds(source["latency_p50_s"]),
        _seconds(source["latency_p95_s"]),
        f"{source['share']:.0%}" if source["answers"] else "",
        str(source["wrong"]),
        f"{sum(peer['evidence'].values())}{proved}",
        printable(said),
    ]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{1000 * value:.0f} ms"
