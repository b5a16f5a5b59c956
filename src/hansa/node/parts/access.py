"""Who may read and write what: the access policies of the marketplace's folder, and the log of decisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.routing import BaseRoute, Route

from hansa.api.access.explaining import EXPLAIN_PATH, ExplainApi
from hansa.business.context import Context
from hansa.core.clock import Clock
from hansa.core.limits import Limits
from hansa.identity.rights.deciding import AccessRights, PartyRolesOf
from hansa.identity.rights.decision_log import DecisionLog
from hansa.identity.rights.policies import AccessPolicies, read_texts
from hansa.identity.rights.watch import AccessWatch
from hansa.node.folder import ACCESS_POLICIES, DECISIONS, member_secret

LOG_KEY_PURPOSE: Final = b"hansa access decision log 1"


class AccessParts:
    """What decides about access.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the files of the start are not valid.
    """

    def __init__(self, clock: Clock, limits: Limits, party_roles: PartyRolesOf) -> None:
        folder = Path(ACCESS_POLICIES)
        texts = read_texts(folder)
        self._log = DecisionLog(
            *(Path(DECISIONS), member_secret(Path()).key(LOG_KEY_PURPOSE), clock),
            file_size_max_bytes=limits.decision_log_max_bytes,
            allowed_every=limits.decision_log_allowed_every,
        )
        self.rights: Final = AccessRights(
            *(AccessPolicies(texts, clock), clock, self._log.record, party_roles)
        )
        self.watch: Final = AccessWatch(folder, self.rights, texts, clock)

    def routes(self, context: Context) -> list[BaseRoute]:
        """Where decisions are explained."""
        return [Route(EXPLAIN_PATH, ExplainApi(context, self.rights).explain)]

    def tasks(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What runs in the background."""
        return (("access policies", self.watch.run), ("decision log", self._log.run))
