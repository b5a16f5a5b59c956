"""A light member: no engine, no ledger application, and a ledger that was verified all the same.

`hansa.pubsub.light_member` says how. Nothing runs beside `hansa serve`; the files are those of every other
marketplace, `ledger/state.db` and `ledger/light.db`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hansa.core.clock import Clock
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.core.members import Member
from hansa.core.signal import Signal
from hansa.identity import MemberSigner
from hansa.node.allowed_origins import MemberOrigins
from hansa.node.folder import HISTORY, LEDGER_STATE, LIGHT_BLOCKS
from hansa.node.health import BlockProgress
from hansa.node.joining.mark import read_joining
from hansa.node.outbound import OutboundClient
from hansa.node.settings.loading import Settings
from hansa.node.tasks import BackgroundTasks
from hansa.node.validator.guard import ValidatorStatus
from hansa.pubsub.engine import Supervised
from hansa.pubsub.ledger.reading import RegistryState
from hansa.pubsub.light.captured import BlockRetention, CapturedBlocks
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light_member.bus import LightBus
from hansa.pubsub.light_member.following import FollowedMembers, FollowingStatus, LightFollower
from hansa.pubsub.light_member.retaining import LightMemberService
from hansa.pubsub.light_member.submitting import Submissions
from hansa.pubsub.light_member.trust import ChainTrust, PinnedBlock
from hansa.replication.registry import MemberRegistry

NO_VALIDATOR: Final = ValidatorStatus("", is_observing=False, summary="runs none (a light member)")


class NoValidator:
    """Of a marketplace that runs none."""

    @property
    def status(self) -> ValidatorStatus:
        """That there is none."""
        return NO_VALIDATOR


class LightMember:
    """What follows the ledger of a light member, and submits for it; a `LedgerAccess`.

    Args:
        settings: Of the marketplace in the working folder.
        genesis: Of the league; the document.
        registered: The members and limits, as far as they are known.
        key: Signs requests to the members.
        clock: For pauses and times.
        entropy: For the requests.
    """

    def __init__(
        self,
        settings: Settings,
        genesis: bytes,
        registered: RegistryState,
        key: KeySigner,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self.genesis = genesis
        self.guard = NoValidator()
        self._settings = settings
        self._members: tuple[Member, ...] = registered.members
        self._trusted, _ = read_trusted_genesis(genesis)
        limits, joining = settings.limits, read_joining(Path())
        origins = MemberOrigins(lambda: self._members, settings.followed_members)
        self._http = OutboundClient(
            origins.has_origin, allow_private_networks=settings.allow_private_networks
        )
        pinned = None
        if joining is not None and joining.trusted_height > 0:
            pinned = PinnedBlock(joining.trusted_height, joining.trusted_hash)
        self._retained = BlockRetention(CapturedBlocks(LIGHT_BLOCKS), clock, limits.light_blocks_max)
        trust = ChainTrust(self._trusted, pinned, self._retained, clock)
        sources = FollowedMembers(self._endpoints, self._http, clock, self._trusted.chain_id)
        signal = Signal(clock)
        self._follower = LightFollower(LEDGER_STATE, genesis, sources, trust, signal, clock, HISTORY)
        submissions = Submissions(
            self._follower.submittable,
            self._did_of,
            MemberSigner(key, settings.did, clock, entropy, limits),
            self._follower.refusal_of,
            self._follower.catch_up,
            clock,
        )
        self.bus = LightBus(
            *(LEDGER_STATE, self._follower, submissions, signal, clock, limits, registered.params)
        )
        self.blocks = BlockProgress(clock, lambda: self.bus.params.heartbeat_s)

    def note_members(self, members: tuple[Member, ...]) -> None:
        """Take note of the registry: others may have to be followed, at other addresses."""
        self._members = members

    def _endpoints(self) -> Sequence[str]:
        """Of the members that are followed."""
        named = self._settings.followed_members
        others = [one for one in self._members if one.did != self._settings.did and one.is_current]
        voting = [one for one in others if one.power > 0]
        return named or [one.endpoint for one in voting or others]

    def _did_of(self, endpoint: str) -> str | None:
        return next((one.did for one in self._members if one.endpoint == endpoint), None)

    # -- what the rest of the node has of it -----------------------------------------------------------------

    @property
    def following(self) -> FollowingStatus:
        """How the following goes."""
        return self._follower.status

    @property
    def upgrade_message(self) -> str | None:
        """Why nothing can be followed until this release is replaced; None while it can."""
        return self._follower.upgrade_message

    def all(self) -> tuple[Supervised, ...]:
        """No child process."""
        return ()

    def pids(self) -> tuple[int | None, ...]:
        """None of them."""
        return ()

    def add_tasks(self, tasks: BackgroundTasks, http: HttpClient) -> None:
        """Add what follows the members."""
        del http
        tasks.add("following", self._follower.run)

    def light_blocks(self, http: HttpClient, registry: MemberRegistry) -> LightMemberService:
        """The light blocks that were verified."""
        del http
        registry.add_listener(self.note_members)
        return LightMemberService(self.bus.for_strangers, self._retained, self._follower.trust, self._trusted)

    async def stop(self) -> None:
        """Close the state's file, and the connections."""
        await self._follower.close()
        await self._http.close()
