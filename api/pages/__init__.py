"""Pages for people who follow a link in a mail, or have forgotten their password."""
