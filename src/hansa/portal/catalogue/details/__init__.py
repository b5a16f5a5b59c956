"""The pages of what offerings are made of: specifications, catalogues and prices, each with its offerings."""
