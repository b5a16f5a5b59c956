"""Pages for whoever operates the marketplace.

places          what all of these pages have: the navigation between them
operator_frame  what their handlers share
paging          links between the pages of a list
league/         the league: its members, events, validators, proposals, and what came of them here
marketplace/    the marketplace itself: who may what, what happened, and how it does
"""

from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.places import OperatorPage, Places

__all__ = ["OperatorFrame", "OperatorPage", "Places"]
