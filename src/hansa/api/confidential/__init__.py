"""Confidential entities: their encrypted bytes for members, and what an operator sees of them."""
