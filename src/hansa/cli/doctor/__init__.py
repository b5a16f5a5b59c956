"""`hansa doctor`: checks a machine and a marketplace, and says how to correct what is wrong."""
