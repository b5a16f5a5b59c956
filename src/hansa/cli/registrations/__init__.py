"""What `hansa organizations` does: requests to the marketplace, with the token in its folder."""

from hansa.cli.registrations.deciding import decide, show_organizations

__all__ = ["decide", "show_organizations"]
