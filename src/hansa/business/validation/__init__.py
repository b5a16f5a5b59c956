"""Checks bodies against the models of their types, and extensions against registered schemas."""
