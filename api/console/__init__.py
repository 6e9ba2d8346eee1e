"""The web console: pages for administrators, and each user's own sessions and API keys."""
