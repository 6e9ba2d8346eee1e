"""The web pages: the administrator's console, and everybody's own sessions and API keys."""
