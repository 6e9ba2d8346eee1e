"""Sessions, tokens and API keys: issuing, listing and revoking them."""
