"""Tables of a layer of their own; see `SCHEMA`."""

SCHEMA = ""
