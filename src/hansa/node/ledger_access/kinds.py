"""What the rest of the node has of the ledger, whichever way it is reached."""

from __future__ import annotations

from typing import Protocol

from hansa.api.light import LightReads
from hansa.api.receipts import ReceiptReads
from hansa.core.cache import HasFigures
from hansa.core.http import HttpClient
from hansa.node.health import BlockProgress
from hansa.node.health.reporter import HasValidatorStatus
from hansa.node.tasks import BackgroundTasks
from hansa.pubsub.bus import Bus
from hansa.pubsub.engine import Supervised
from hansa.pubsub.ledger.waiting import WaitingFigures
from hansa.pubsub.ledger_reads import StrangersReads
from hansa.pubsub.light.captured import LedgerEvidence
from hansa.pubsub.light_member.following import FollowingStatus
from hansa.replication.registry import MemberRegistry


class NodeBus(Bus, Protocol):
    """The bus, and what the node alone needs of it."""

    for_strangers: StrangersReads
    """The same ledger, as strangers read it."""

    async def submit(self, transaction: bytes) -> None:
        """Submit a transaction of another member. See `LedgerBus.submit`."""

    async def waiting(self) -> WaitingFigures:
        """How much waits for a block here. Raises `Unavailable`."""

    async def missing_events(self) -> tuple[int, int] | None:
        """First and last position of the events that are not here yet. See `LedgerReads.missing_events`."""


class LightBlocks(LightReads, ReceiptReads, Protocol):
    """The light blocks that are retained here, and what strangers get of them."""

    @property
    def caches(self) -> tuple[HasFigures, ...]:
        """For the metrics."""

    @property
    def evidence(self) -> tuple[LedgerEvidence, ...]:
        """What others have signed or made up against them."""

    async def run(self) -> None:
        """Retain more, until cancelled."""

    def close(self) -> None:
        """Close the file."""


class LedgerAccess(Protocol):
    """One way to the ledger, with what runs for it."""

    genesis: bytes
    blocks: BlockProgress

    @property
    def bus(self) -> NodeBus:
        """The ledger."""

    @property
    def guard(self) -> HasValidatorStatus:
        """Of the validator."""

    @property
    def following(self) -> FollowingStatus | None:
        """How a light member's following goes; None where there is an engine."""

    @property
    def upgrade_message(self) -> str | None:
        """Why the ledger stands still here until this release is replaced; None while it does not."""

    def all(self) -> tuple[Supervised, ...]:
        """Its child processes, in the order in which they start."""

    def pids(self) -> tuple[int | None, ...]:
        """Their numbers; None for one that does not run."""

    def add_tasks(self, tasks: BackgroundTasks, http: HttpClient) -> None:
        """Add what keeps it running."""

    def light_blocks(self, http: HttpClient, registry: MemberRegistry) -> LightBlocks:
        """What retains light blocks.

        Raises:
            Fatal: the file of light blocks, or the genesis, cannot be read.
        """

    async def stop(self) -> None:
        """Stop what runs."""
