"""Pages about the operator's own marketplace: who may what, what happened, and how it does.

Each module has the pages of one subject: what they show (frozen structs), the interface by which they read
and write, and their handlers. `acting` is how they change anything: a page that says what a button does and
asks once, then a record in the audit log, then the same operation as that of the APIs and the commands.
"""

from typing import Final

from hansa.portal.operators.places import Places

PATHS: Final[Places] = (
    "/operator/entities",
    "/operator/organizations",
    "/operator/policies",
    "/operator/subscriptions",
    "/operator/audit",
    "/operator/jobs",
    "/operator/storage",
    "/operator/health",
    "/operator/settings",
)
"""Those that the navigation leads to."""

__all__ = ["PATHS"]
