"""The keys of a marketplace, as `hansa keys` shows them."""
