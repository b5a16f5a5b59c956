"""Snapshots over HTTP: what is there, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from starlette.routing import Route

from hansa.api.newcomers.snapshots import NoSnapshots, SnapshotReads, SnapshotsApi
from hansa.core.errors import Unavailable
from hansa.core.limits import Limits
from hansa.node.http.application import rest_application
from hansa.pubsub.ledger.snapshots.manifest import read_manifest
from hansa.pubsub.ledger.snapshots.reading import WAITING_MAX, ServedSnapshots
from hansa.pubsub.light_member.wire import SNAPSHOTS_PATH
from tests.support.asgi import AsgiClient
from tests.support.followed_league import FollowedLeague


@pytest.fixture
def league(tmp_path: Path) -> FollowedLeague:
    made = FollowedLeague()
    made.grow(3)
    made.take_snapshot(tmp_path)
    return made


@pytest.fixture
def served(league: FollowedLeague) -> ServedSnapshots:
    assert league.snapshots is not None
    return ServedSnapshots(league.snapshots)


def client_of(reads: SnapshotReads) -> AsgiClient:
    api = SnapshotsApi(reads, Limits())
    routes = [
        Route(SNAPSHOTS_PATH, api.list, methods=["GET"]),
        Route(f"{SNAPSHOTS_PATH}/{{height}}", api.manifest, methods=["GET"]),
        Route(f"{SNAPSHOTS_PATH}/{{height}}/{{index}}", api.chunk, methods=["GET"]),
    ]
    return AsgiClient(rest_application(routes))


async def test_heights_manifest_and_chunks_are_those_that_are_stored(served: ServedSnapshots) -> None:
    client = client_of(served)
    (height,) = msgspec.json.decode((await client.get(SNAPSHOTS_PATH)).body)["heights"]
    manifest = read_manifest((await client.get(f"{SNAPSHOTS_PATH}/{height}")).body)
    assert manifest.height == height
    for index, chunk in enumerate(manifest.chunks):
        answer = await client.get(f"{SNAPSHOTS_PATH}/{height}/{index}")
        assert chunk.holds(answer.body)
        assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/7", 404),
        ("/3/9", 404),
        ("/0", 400),
        ("/x", 400),
        ("/3/-1", 400),
        ("/3/9999", 400),
        ("/3/0?x=1", 400),
    ],
)
async def test_what_is_not_there_is_said(served: ServedSnapshots, path: str, status: int) -> None:
    assert (await client_of(served).get(f"{SNAPSHOTS_PATH}{path}")).status == status


async def test_a_member_without_a_ledger_has_none() -> None:
    client = client_of(NoSnapshots())
    assert msgspec.json.decode((await client.get(SNAPSHOTS_PATH)).body) == {"heights": []}
    assert (await client.get(f"{SNAPSHOTS_PATH}/3/0")).status == 404


async def test_few_wait_for_a_part(served: ServedSnapshots) -> None:
    results = await asyncio.gather(
        *(served.heights() for _ in range(2 * WAITING_MAX)), return_exceptions=True
    )
    assert sum(isinstance(one, Unavailable) for one in results) == WAITING_MAX
    assert await served.heights()
