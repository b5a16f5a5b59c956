"""The pages that describe the APIs, made from their models.

`pages` has a page for each API, `forms` the requests that a reader can try, `schemas` the tables of types.
"""
