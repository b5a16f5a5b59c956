"""The operators' pages about the marketplace itself, put together, and what they read and write."""
