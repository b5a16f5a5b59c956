"""What is not as it should be although this marketplace serves, and how it is noticed."""

from hansa.node.health.blocks import BlockProgress
from hansa.node.health.conditions import (
    Condition,
    ConditionCode,
    LeagueView,
    conditions_page,
    meaning_of,
    remedy_of,
)
from hansa.node.health.membership import OwnMembership, membership_checks
from hansa.node.health.reporter import HealthReporter

__all__ = [
    "BlockProgress",
    "Condition",
    "ConditionCode",
    "HealthReporter",
    "LeagueView",
    "OwnMembership",
    "conditions_page",
    "meaning_of",
    "membership_checks",
    "remedy_of",
]
