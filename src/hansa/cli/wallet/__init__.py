"""What `hansa wallet` does: the development wallet, on this machine and over the network of its user."""

from hansa.cli.wallet.actions import (
    accept_in_browser,
    accept_offer,
    present_credential,
    remove_credential,
    show_credentials,
)

__all__ = [
    "accept_in_browser",
    "accept_offer",
    "present_credential",
    "remove_credential",
    "show_credentials",
]
