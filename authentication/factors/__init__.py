"""Second factors: authenticator apps, recovery codes, and how fresh a session is."""
