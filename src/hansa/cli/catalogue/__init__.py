"""The catalogue of a marketplace over HTTP: its listing, its export, and the comparison of members."""
