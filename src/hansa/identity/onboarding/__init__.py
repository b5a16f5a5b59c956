"""Onboarding: an organisation registers with its credential, and the operator approves or removes it."""

from hansa.identity.onboarding.employees import Employees
from hansa.identity.onboarding.registering import Onboarding, PublishOrganization

__all__ = ["Employees", "Onboarding", "PublishOrganization"]
