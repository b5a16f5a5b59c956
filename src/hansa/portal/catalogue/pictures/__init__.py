"""Pictures of offerings: fetched from members alone, decoded within bounds, and encoded anew."""


class PictureUnusable(Exception):
    """A picture that cannot be read, or is too large."""
