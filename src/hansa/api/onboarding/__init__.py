"""Onboarding over HTTP: organisations register, and operators decide.

GET  /onboarding                                  where an organisation is, and the terms     who is logged in
POST /onboarding                                  registers it, and accepts the terms         who is logged in
GET  /onboarding/organizations                    who registered                              an operator
POST /onboarding/organizations/{id}/approve       lets it in                                  an operator
POST /onboarding/organizations/{id}/remove        ends its sessions and tokens at once        an operator
"""

from hansa.api.onboarding.registrations import OnboardingApi, OnboardingPages, OnboardingView

__all__ = ["OnboardingApi", "OnboardingPages", "OnboardingView"]
