"""Marketplace Business: the TM Forum Open APIs on this marketplace's own store, driven by compact models."""

from hansa.business.app import BusinessApp

__all__ = ["BusinessApp"]
