"""Other ways to answer `GET /users/me`, set up as fairly as we know how, for comparison."""
