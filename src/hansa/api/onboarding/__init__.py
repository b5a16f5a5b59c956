"""Onboarding over HTTP: organisations register and invite their people, and operators decide.

    GET  /onboarding                              where an organisation is, and the terms   who is logged in
    POST /onboarding                              registers it, and accepts the terms       who is logged in
    GET  /onboarding/organizations                who registered                            an operator
    POST /onboarding/organizations/{id}/approve   lets it in                                an operator
    POST /onboarding/organizations/{id}/remove    ends its sessions and tokens at once      an operator
    GET  /onboarding/employees · POST             employees · invites one                   its own people
    POST /onboarding/employees/{id}/remove        removes one at once                       its own people

Those of employees are served by a marketplace that issues.
"""

from hansa.api.onboarding.employees import EmployeesApi
from hansa.api.onboarding.registrations import OnboardingApi, OnboardingPages, OnboardingView

__all__ = ["EmployeesApi", "OnboardingApi", "OnboardingPages", "OnboardingView"]
