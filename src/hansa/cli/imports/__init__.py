"""`hansa import`: files of JSON Lines into a marketplace."""
