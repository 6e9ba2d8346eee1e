"""One file per noun: the routes, and nothing but HTTP in them."""
