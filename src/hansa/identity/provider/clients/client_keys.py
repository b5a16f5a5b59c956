"""The keys of confidential clients: registered with them, or at an address that is.

Keys at an address count for an hour. A name that is not among them has them fetched once more, but not sooner
than a minute after the last time, so that nobody makes us knock on a door. They are fetched by an
`HttpClient` that goes to the addresses of registered clients alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.bounded_json import read_object
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import HansaError
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.limits import Limits
from hansa.identity.provider.clients.records import ClientRecord, keys_of
from hansa.identity.provider.oauth_errors import invalid_client

KEY_SET_SIZE_MAX_BYTES: Final = 65_536
KEY_SET_LIFE_S: Final = 3600.0
FETCHED_EVERY_S: Final = 60.0
FETCH_TIMEOUT_S: Final = 5.0
KEY_SETS_CACHED_MAX: Final = 1024

_LIMITS: Final = Limits(body_depth_max=8, body_nodes_max=2000, string_length_max_chars=8192)


class _KeySet(msgspec.Struct, frozen=True):
    fetched_at_s: float
    keys: Mapping[str, dict[str, Any]]
    """By name; empty when they could not be fetched."""


class ClientKeys:
    """Finds the keys. To be used on one event loop."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self.cache: Final[Cache[str, _KeySet]] = Cache("client_keys", KEY_SETS_CACHED_MAX)
        """By address."""

    async def key(self, client: ClientRecord, kid: str | None) -> dict[str, Any]:
        """The key of a client that a JWT names; the only one, when it names none.

        Raises:
            OAuthRefused: `invalid_client`.
        """
        if client.jwks is not None:
            keys: Mapping[str, dict[str, Any]] = keys_of(client.jwks)
        else:
            keys = await self._fetched(client.jwks_uri, kid)
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        key = keys.get(kid) if kid is not None else None
        if key is None:
            raise invalid_client("The client has no key of that name, or its keys cannot be fetched.")
        return key

    async def _fetched(self, address: str, kid: str | None) -> Mapping[str, dict[str, Any]]:
        now_s = self._clock.monotonic()
        present = self.cache.get(address)
        if present is not None:
            age_s = now_s - present.fetched_at_s
            is_known = bool(present.keys) and (kid is None or kid in present.keys)
            if age_s < FETCHED_EVERY_S or (is_known and age_s < KEY_SET_LIFE_S):
                return present.keys
        self.cache.put(address, _KeySet(now_s, {}))  # whoever asks meanwhile does not fetch them too
        keys = await self._fetch(address)
        self.cache.put(address, _KeySet(now_s, keys))
        return keys

    async def _fetch(self, address: str) -> Mapping[str, dict[str, Any]]:
        request = HttpRequest(
            "GET",
            address,
            {"Accept": "application/jwk-set+json, application/json"},
            timeout_s=FETCH_TIMEOUT_S,
            answer_size_max_bytes=KEY_SET_SIZE_MAX_BYTES,
        )
        try:
            response = await self._http.send(request)
            if response.status != 200:
                return {}
            return keys_of(read_object(response.body, _LIMITS))
        except HansaError:
            return {}
