"""`hansa peers`: the other members as origins, as sources of entities, and as followers of a marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from hansa.cli.catalogue.member_names import member_named
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


class PeerActions(NamedTuple):
    """What is done about one member, by its name or DID, before all are shown."""

    retry_now: str | None = None
    pause: str | None = None
    resume: str | None = None


def run_peers(url: str, token: str | None, actions: PeerActions, output: Output) -> None:
    """Show the other members; pause one, resume one, or have what waits for one requested again at once.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> list[Any]:
        async with PatientClient(url, token) as client:
            peers: list[Any] = await client.get(PATH)
            if not any(actions):
                return peers
            await _act(client, peers, actions, output)
            changed: list[Any] = await client.get(PATH)
            return changed

    peers = asyncio.run(run())
    if output.as_json:
        output.document(peers)
    elif peers:
        output.table(HEADINGS, [_row(peer) for peer in peers])
    else:
        output.message("None.")


async def _act(
    client: PatientClient, peers: Sequence[Mapping[str, Any]], actions: PeerActions, output: Output
) -> None:
    """Do what the operator wants done.

    Raises:
        HansaError: when a name is none, or the marketplace refuses.
    """
    if actions.pause is not None:
        peer = member_named(peers, actions.pause, "--pause")
        await _post(client, f"{PATH}/{quote(peer['did'], safe=':')}/pause")
        output.message(f"{printable(actions.pause)} is paused: what it announces waits until --resume.")
    if actions.resume is not None:
        peer = member_named(peers, actions.resume, "--resume")
        await _post(client, f"{PATH}/{quote(peer['did'], safe=':')}/resume")
        output.message(f"{printable(actions.resume)} is requested again.")
    if actions.retry_now is not None:
        peer = member_named(peers, actions.retry_now, "--retry-now")
        if (peer["origin"] or {}).get("paused_since") and actions.resume is None:
            raise Refused(Code.CONFLICT, f"{printable(actions.retry_now)} is paused; give --resume.")
        body = msgspec.json.encode({"origin": peer["did"], "states": ["pending"]})
        await _post(client, RETRY_PATH, body)
        output.message(f"{printable(actions.retry_now)} is requested again now.")


async def _post(client: PatientClient, path: str, body: bytes = b"") -> None:
    response = await client.request("POST", path, body=body)
    if response.status != 200:
        raise refusal(response, client.url)


def _row(peer: Mapping[str, Any]) -> list[str]:
    origin, source, follower = peer["origin"] or {}, peer["source"], peer["follower"]
    failing = f"{origin['problem']}, since {origin['failing_since']}" if origin.get("failing_since") else ""
    if origin.get("paused_since"):
        failing = f"paused since {origin['paused_since']}"
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
