"""The settings of a marketplace: `hansa.toml` and `HANSA_…` variables.

`schema` declares each setting once, with its kind, default and meaning, those of logins in `login_settings`;
`loading` reads and checks them; `limit_texts` says what each limit means.
"""
