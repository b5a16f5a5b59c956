"""What callers may do, explained to them."""
