"""Whose votes are in the latest blocks, as the narrow client of the engine's RPC tells."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hansa.api.light import LightReads
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import HansaError
from hansa.portal.operators.league.validators import DecidedBlock, ValidatorGrid, ValidatorRow
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.light.chain.blocks import FOR_BLOCK
from hansa.pubsub.light.proxy import LightCall


class _Vote(msgspec.Struct, frozen=True):
    block_id_flag: int
    validator_address: str = ""


class _Commit(msgspec.Struct, frozen=True):
    round: int
    signatures: tuple[_Vote, ...]


class _Header(msgspec.Struct, frozen=True):
    height: str
    time: str
    proposer_address: str


class _SignedHeader(msgspec.Struct, frozen=True):
    header: _Header
    commit: _Commit


class _CommitResult(msgspec.Struct, frozen=True):
    signed_header: _SignedHeader


class _SyncInfo(msgspec.Struct, frozen=True):
    latest_block_height: str


class _StatusResult(msgspec.Struct, frozen=True):
    sync_info: _SyncInfo


class LeagueValidators:
    """The validators.

    Args:
        bus: Has their powers.
        light: Has the commits of blocks.
    """

    def __init__(self, bus: BusReads, light: LightReads) -> None:
        self._bus = bus
        self._light = light

    async def grid(self, blocks: int, validators: int) -> ValidatorGrid:
        """See `hansa.portal.operators.league.validators.ValidatorReads`."""
        state = await self._bus.league()
        names = {validator_address(one.validator_key): one.name for one in state.members if one.validator_key}
        commits = await self._commits(blocks)
        signers = [_signers(one) for one in commits]
        powers = sorted(
            ((one.power, address) for address, one in state.validators.items() if one.power),
            key=lambda one: (-one[0], names.get(one[1], one[1])),
        )
        total_power = max(state.total_power, 1)
        rows = [
            _row(names.get(address, address), address, power, power / total_power, signers)
            for power, address in powers[:validators]
        ]
        decided = tuple(_block(one, names) for one in commits)
        return ValidatorGrid(decided, tuple(rows), len(powers))

    async def _commits(self, count: int) -> list[_SignedHeader]:
        """Of the latest blocks, the newest first; none, where no engine answers."""
        commits: list[_SignedHeader] = []
        try:
            status = msgspec.json.decode(
                await self._light.light_result(LightCall("status")), type=_StatusResult
            )
            newest = int(status.sync_info.latest_block_height)
            for height in range(newest, max(newest - count, 0), -1):
                result = await self._light.light_result(LightCall("commit", height))
                commits.append(msgspec.json.decode(result, type=_CommitResult).signed_header)
        except (*UNREADABLE, ValueError, HansaError):
            return commits  # the powers are shown all the same
        return commits


def _signers(commit: _SignedHeader) -> frozenset[str]:
    return frozenset(
        one.validator_address.lower() for one in commit.commit.signatures if one.block_id_flag == FOR_BLOCK
    )


def _row(
    name: str, address: str, power: int, share: float, signers: Sequence[frozenset[str]]
) -> ValidatorRow:
    signed = tuple(address in one for one in signers)
    return ValidatorRow(name, address, power, share, signed, signed.count(False))


def _block(commit: _SignedHeader, names: dict[str, str]) -> DecidedBlock:
    header, proposer = commit.header, commit.header.proposer_address.lower()
    return DecidedBlock(int(header.height), commit.commit.round, names.get(proposer, proposer), header.time)
