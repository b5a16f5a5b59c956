"""A light member that follows three of the members of a league in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.followed_league import FollowedLeague, FollowingMember, MakeFollowing, ScriptedMember


@pytest.fixture
def members(league: FollowedLeague) -> list[ScriptedMember]:
    return [ScriptedMember(league, origin) for origin in league.origins[:3]]


@pytest.fixture
async def make(
    league: FollowedLeague, members: list[ScriptedMember], tmp_path: Path
) -> AsyncIterator[MakeFollowing]:
    made: list[FollowingMember] = []

    def following(**options: object) -> FollowingMember:
        made.append(FollowingMember(league, members, tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield following
    for one in made:
        await one.close()
