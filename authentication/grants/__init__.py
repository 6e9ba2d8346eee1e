"""The ways to get tokens: a password, a refresh token, the console's form."""
