"""Checks bodies against the models of their types, and extensions against registered schemas.

`shapes` accepts most valid bodies at once; `validator` walks the others and collects violations; `extensions`
applies the JSON Schemas that the operator registered.
"""
