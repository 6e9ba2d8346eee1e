"""One file per noun, as in the routers: what each page shows and what its forms do."""
