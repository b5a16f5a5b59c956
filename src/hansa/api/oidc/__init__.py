"""The OpenID Provider over HTTP: `/oidc/…` and its discovery (`hansa.identity.provider`)."""

from hansa.api.oidc.removals import RemovalRoutes
from hansa.api.oidc.routes import OidcPage, OidcRoutes, PageOf

__all__ = ["OidcPage", "OidcRoutes", "PageOf", "RemovalRoutes"]
