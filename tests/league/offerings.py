"""Offerings of the first member of a league, and what they are called at the others."""

from __future__ import annotations

from typing import Any

from tests.league.harness import OFFERINGS, League, RunningMember, wait_until

PATIENCE_S = 60.0


async def shared(members: League, **attributes: Any) -> str:
    """An offering of the first member that all have; its path."""
    path = f"{OFFERINGS}/{await members[0].create_offering(**attributes)}"
    await members.wait_until_visible(path, PATIENCE_S)
    return path


async def name_at(member: RunningMember, path: str) -> str | None:
    """What an offering is called at a member; None: it is not there."""
    answer = await member.get(path)
    return answer.json()["name"] if answer.status == 200 else None


async def named(member: RunningMember, path: str, name: str | None) -> None:
    """Wait until it is called so."""

    async def is_so() -> bool:
        return await name_at(member, path) == name

    await wait_until(is_so, f"{path} is called {name} at {member.name}", PATIENCE_S, [member])
