"""Makes the mails of the outbox and sends them."""
