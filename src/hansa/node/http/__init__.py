"""The HTTP server of a marketplace, and what it serves itself."""
