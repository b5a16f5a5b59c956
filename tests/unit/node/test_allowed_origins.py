from __future__ import annotations

import msgspec

from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.node.allowed_origins import MemberOrigins, NamedOrigins

KEY = SigningKey.generate()
LUBECK = Member("did:web:lubeck", "lubeck", "https://lubeck.example", (KEY.public,), 1)


async def test_a_members_origin_is_allowed_at_its_registered_port_alone() -> None:
    origins = MemberOrigins(lambda: (LUBECK,))
    assert await origins.has_origin("https://lubeck.example:443")
    assert not await origins.has_origin("https://lubeck.example:8443")
    assert not await origins.has_origin("http://lubeck.example:80")


async def test_a_member_that_moves_takes_its_permission_along() -> None:
    members = [(LUBECK,)]
    origins = MemberOrigins(lambda: members[-1])
    assert await origins.has_origin("https://lubeck.example:443")
    members.append((msgspec.structs.replace(LUBECK, endpoint="https://new.example:8443"),))
    assert not await origins.has_origin("https://lubeck.example:443")
    assert await origins.has_origin("https://new.example:8443")


async def test_import_jobs_may_fetch_from_the_hosts_of_the_setting() -> None:
    origins = NamedOrigins(("https://files.example",))
    assert await origins.has_origin("https://files.example:443")
    assert not await origins.has_origin("https://other.example:443")
