"""The generators of docs/reference/, .env.example and docs/images."""
