"""Groups of parts of a marketplace, each put together for the wiring."""
