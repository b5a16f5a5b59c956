"""Whatever happens to confidential entities, those have them for whom they are, and nobody else ever does.

`CONFIDENTIAL_HISTORIES` histories are drawn from seeds: entities are created, change, gain and lose parties,
become public and confidential again, and are deleted, while members stop, restart and cannot be reached.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.confidential import party, put, replica, settle
from tests.support.league import League, Marketplace

HISTORIES = int(os.environ.get("CONFIDENTIAL_HISTORIES", "4"))
NAMES = ("lubeck", "bergen", "riga", "bruges")
STEPS = 24


class History:
    """What is done, and what has to be where."""

    def __init__(self, league: League, seed: int) -> None:
        self.league = league
        self.draw = random.Random(seed)
        self.entities: dict[str, tuple[Marketplace, str, dict[str, Any]]] = {}
        """By identifier: origin, type, attributes; of what there is."""
        self.audiences: dict[str, set[str]] = {}
        """By secret of an entity, the names of all members that were ever to have it."""
        self.secrets: dict[str, str] = {}

    async def step(self) -> None:
        """Do something."""
        what = self.draw.choice(("create", "create", "change", "change", "delete", "restart", "wait", "cut"))
        market = self.draw.choice(self.league.marketplaces)
        if what == "create" or (what in {"change", "delete"} and not self.entities):
            await self._write("", market, self.draw.choice(("ProductOrder", "Quote", "ProductOffering")))
        elif what == "change":
            entity_id = self.draw.choice(sorted(self.entities))
            origin, type_name, _ = self.entities[entity_id]
            await self._write(entity_id, origin, type_name)
        elif what == "delete":
            entity_id = self.draw.choice(sorted(self.entities))
            await self.entities.pop(entity_id)[0].delete(entity_id)
        elif what == "restart":
            await market.restart()
        elif what == "cut":
            self.league.network.down ^= {market.endpoint}
        await self.league.run(self.draw.choice((0.0, 0.05, 0.3)))

    async def _write(self, entity_id: str, origin: Marketplace, type_name: str) -> None:
        others = [one for one in self.league.marketplaces if one is not origin]
        chosen = self.draw.sample(others, self.draw.randrange(len(others) + 1))
        secret = self.secrets.get(entity_id) or f"secret-{self.draw.getrandbits(96):024x}"
        fields: dict[str, Any] = {"description": secret, "n": self.draw.getrandbits(32)}
        status = None
        if type_name == "ProductOffering":
            status = "Launched"
            is_public = self.draw.random() < 0.3
            if not is_public:
                fields["visibleTo"] = [one.did for one in chosen] or ["here"]
            chosen = others if is_public else chosen
        else:
            fields["relatedParty"] = [party("Seller", one.did) for one in (origin, *chosen)]
        entity_id = await put(origin, type_name, status, entity_id, **fields)
        self.entities[entity_id] = origin, type_name, {**fields, "chosen": {one.name for one in chosen}}
        self.secrets[entity_id] = secret
        self.audiences.setdefault(secret, {origin.name}).update(one.name for one in chosen)

    async def check(self, folder: Path) -> None:
        """Everything is where it has to be, and nowhere else."""
        for entity_id in self.secrets:
            known = self.entities.get(entity_id)
            for market in self.league.marketplaces:
                if known is not None and market is known[0]:
                    continue
                body = await replica(market, entity_id)
                expected = known is not None and market.name in known[2]["chosen"]
                assert (body is not None) == expected, (entity_id, market.name)
                if body is not None and known is not None:
                    assert body["n"] == known[2]["n"], "the newest version"
        for market in self.league.marketplaces:
            content = b"".join(one.read_bytes() for one in folder.glob(f"{market.name}.db*"))
            for secret, names in self.audiences.items():
                assert (secret.encode() not in content) or market.name in names, (secret, market.name)
        ledger = self.league.ledger.application.state.connection.serialize("main")
        assert not [one for one in self.audiences if one.encode() in ledger]


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_everybody_has_what_is_for_it_and_nothing_else(tmp_path: Path, seed: int) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        league.start()
        history = History(league, seed)
        for _ in range(STEPS):
            await history.step()
        league.network.down.clear()
        await settle(league)
        await league.run(5)
        await settle(league)
        await history.check(tmp_path)
