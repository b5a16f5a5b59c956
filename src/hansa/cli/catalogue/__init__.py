"""The catalogue of a marketplace over HTTP: its listing, its export, and how the catalogues of members differ."""
