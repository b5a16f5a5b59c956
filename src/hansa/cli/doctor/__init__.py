"""`hansa doctor`: what is wrong with a marketplace, and what to do about it."""
