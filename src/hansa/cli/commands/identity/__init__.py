"""Commands about who somebody is: credentials, and wallets that hold them."""
