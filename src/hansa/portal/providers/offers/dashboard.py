"""The first page of whoever offers something: what there is, what waits, what is wrong, what comes next."""

from __future__ import annotations

import msgspec

from hansa.portal.providers.offers.elsewhere.seen import MemberSummary
from hansa.portal.providers.offers.entity import FormLinks
from hansa.portal.providers.offers.orders import StateCount
from hansa.portal.providers.offers.own import KindCount, PublicationProblem


class DashboardPage(msgspec.Struct, frozen=True):
    """For the template `providers/dashboard.html`."""

    organization: str
    """Name of whose offers they are; empty: of the marketplace."""
    counts: tuple[KindCount, ...]
    orders: tuple[StateCount, ...]
    """Orders with which something has still to happen."""
    problems: tuple[PublicationProblem, ...]
    elsewhere: tuple[MemberSummary, ...]
    """How the other members are with the first offerings that are announced; none: nothing is, or it is not
    known now."""
    forms: FormLinks
    is_orderable: bool
    """Whether whoever looks can be a seller: it acts for an organisation."""
    public_path: str = ""
    """Where customers see the organisation, and who certifies it; empty: it offers nothing to anybody yet."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return not any(one.draft or one.launched or one.retired for one in self.counts)
