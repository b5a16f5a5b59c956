"""How a list is answered."""
