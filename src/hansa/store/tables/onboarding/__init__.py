"""Organisations that register with this marketplace."""
