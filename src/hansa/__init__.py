"""Hansa: a league of marketplaces with one shared, verified catalogue."""

__version__ = "0.1.0"
