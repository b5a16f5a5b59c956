"""Version 4 of the TM Forum Open APIs on the wire: media types, headers, `href`, monitors (TMF630)."""
