"""The clients by which a marketplace sends requests, one for each purpose."""

from __future__ import annotations

from hansa.node.allowed_origins import AnyOrigins, ListenerOrigins, MemberOrigins, NamedOrigins
from hansa.node.outbound import OutboundClient
from hansa.node.settings.loading import Settings
from hansa.replication.registry import MemberRegistry
from hansa.store import Store


def _pages(settings: Settings) -> list[str]:
    """Addresses of trusted lists, of which some are files."""
    return [one for one in settings.trusted_lists if "://" in one]


class Clients:
    """A client for each purpose, so that a request for one cannot go where only another may."""

    def __init__(self, settings: Settings, store: Store, registry: MemberRegistry) -> None:
        members = MemberOrigins(registry.known, settings.followed_members)
        origins = (
            *(members, ListenerOrigins(store), NamedOrigins(settings.import_hosts)),
            AnyOrigins(members, NamedOrigins(settings.credential_hosts), NamedOrigins(_pages(settings))),
        )
        self.to_members, self.to_listeners, self.to_files, self.to_issuers = (
            OutboundClient(each.has_origin, allow_private_networks=settings.allow_private_networks)
            for each in origins
        )

    async def close(self) -> None:
        """Close all connections."""
        for client in (self.to_members, self.to_listeners, self.to_files, self.to_issuers):
            await client.close()
