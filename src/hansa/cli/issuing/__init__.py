"""What `hansa issue` does: requests to the marketplace that issues, with the token in its folder."""

from hansa.cli.issuing.orders import IssuingOrders, ordered

__all__ = ["IssuingOrders", "ordered"]
