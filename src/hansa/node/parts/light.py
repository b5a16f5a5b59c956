"""What retains light blocks, makes receipts, and compares checkpoints, put together for one marketplace."""

from __future__ import annotations

from hansa.core.clock import Clock
from hansa.core.files import read_file
from hansa.core.http import HttpClient
from hansa.core.members import Member
from hansa.node.folder import GENESIS, LIGHT_BLOCKS
from hansa.node.settings.loading import Settings
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.service import LightService
from hansa.replication.registry import MemberRegistry


def light_service(
    settings: Settings, bus: CometBftBus, http: HttpClient, registry: MemberRegistry, clock: Clock
) -> LightService:
    """Of the marketplace in the working folder.

    Raises:
        Fatal: the file of light blocks, or the genesis, cannot be read.
    """

    def others() -> list[Member]:
        return [member for member in registry.known() if member.did != settings.did]

    blocks, genesis = CapturedBlocks(LIGHT_BLOCKS), read_file(GENESIS)
    limits = settings.limits
    return LightService(bus, bus.for_strangers, blocks, genesis, http, others, clock, limits.light_blocks_max)
