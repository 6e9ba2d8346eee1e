"""Mails: the outbox, the worker that sends them, and the tokens in their links."""
