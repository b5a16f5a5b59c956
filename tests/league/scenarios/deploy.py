"""The league of a scenario: its folders, and how each member is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from hansa.core.access import OPERATOR
from hansa.node.folder import (
    chain_id_of,
    init_member,
    install_genesis,
    issue_folder_token,
    league_genesis,
    write_token,
)
from hansa.node.folder.demo_league import member_name
from hansa.node.settings.setting import Value
from hansa.pubsub.engine import EngineKey
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3
from hansa.pubsub.ledger.genesis import PARAMETERS, LedgerParams
from tests.league.engine_clock import engine_with_clock
from tests.league.further_engines import with_node_id
from tests.league.harness import CLOCK, SERVE, RunningMember
from tests.league.scenarios.hosts import Place
from tests.league.scenarios.manifest import Double, Scenario

SETTINGS: Final[dict[str, Value]] = {
    "single_machine": True,
    "allow_private_networks": True,
    "engine_stall_s": 5.0,
    "disk_free_min_bytes": 33_554_432,
}
UPGRADE_SETTING: Final = "ledger_upgrade_height"
TOKEN_EXPIRES_IN_S: Final = 86_400.0


class Deployment(msgspec.Struct, frozen=True):
    """The members of a league that does not run yet."""

    members: tuple[RunningMember, ...]
    double_key: EngineKey | None
    """Node key of the second engine of a member, which the registry knows as that member's."""


def deploy(
    folder: Path, scenario: Scenario, places: Sequence[Place], session: aiohttp.ClientSession
) -> Deployment:
    """Make the folders of a league at these places."""
    last = scenario.members + len(scenario.newcomers)
    folders = [folder / member_name(number) for number in range(1, last + 1)]
    founders = folders[: scenario.members]
    cards = [
        init_member(
            each,
            each.name,
            f"http://{place.host}:{place.http_port}",
            CLOCK,
            p2p_host=place.host,
            p2p_port=place.p2p_port,
            listen_host=place.host,
            validator_key_type=scenario.validator_key_type,
            further_settings=SETTINGS | _upgrade_settings(scenario, number),
        )
        for number, (each, place) in enumerate(zip(founders, places, strict=False), 1)
    ]
    double_key = None
    for double in (each for each in scenario.perturbations if isinstance(each, Double)):
        double_key = EngineKey.generate()
        cards[double.member - 1] = with_node_id(cards[double.member - 1], double_key.node_id)
        (folders[double.member - 1] / "member.json").write_bytes(
            msgspec.json.encode(cards[double.member - 1])
        )
    document = msgspec.json.decode(league_genesis(cards, chain_id_of(cards), _founded_at(scenario)))
    params = LedgerParams(heartbeat_s=scenario.heartbeat_s)
    document["app_state"]["params"] = msgspec.to_builtins(params)
    if scenario.upgrade is not None:
        document["app_state"]["ruleset"] = RULESET_3
        document["app_state"]["params"] = msgspec.json.decode(PARAMETERS.write(params))
    for each in founders:
        install_genesis(each, msgspec.json.encode(document), [card.p2p_address for card in cards])
        write_token(each, issue_folder_token(each, "demo", [OPERATOR], TOKEN_EXPIRES_IN_S, CLOCK, os.urandom))
    members = [
        RunningMember(each, place.http_port, session, place.host, place.launcher)
        for each, place in zip(folders, places, strict=True)
    ]
    return Deployment(tuple(members), double_key)


def _founded_at(scenario: Scenario) -> datetime:
    """Time of the genesis: past by every engine's clock, since one for which it is to come waits for it."""
    behind_s = min(0.0, *(one.engine_clock_s for one in scenario.changed), 0.0)
    return CLOCK.now() + timedelta(seconds=behind_s)


def _upgrade_settings(scenario: Scenario, number: int) -> dict[str, Value]:
    """When a member changes the rules; the late one has not set it."""
    upgrade = scenario.upgrade
    return {} if upgrade is None or upgrade.late == number else {UPGRADE_SETTING: upgrade.height}


def start_command(scenario: Scenario, number: int) -> tuple[str, ...]:
    """How a member is started."""
    for changed in scenario.changed:
        if changed.member == number and changed.engine_clock_s:
            clocks = str(changed.clock_s), str(changed.engine_clock_s), str(engine_with_clock())
            return sys.executable, "-m", "tests.league.serve_with_engine_clock", *clocks
        if changed.member == number and changed.application:
            return sys.executable, "-m", "tests.league.serve_with_ledger", changed.application
        if changed.member == number:
            return sys.executable, "-m", "tests.league.serve_at_another_time", str(changed.clock_s)
    return SERVE
