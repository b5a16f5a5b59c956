"""`hansa import`: reads JSON Lines, and creates or changes entities at a marketplace to match them."""
