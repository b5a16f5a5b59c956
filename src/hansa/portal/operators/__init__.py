"""Pages for whoever operates the marketplace.

places   what all of these pages have: the navigation between them
league/  the league: its members, events, validators, proposals, and what came of them here
"""

from hansa.portal.operators.places import OperatorPage, Places

__all__ = ["OperatorPage", "Places"]
