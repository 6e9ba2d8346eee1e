"""Messages of errors that the pages show, for their translation: see `rendering.translate`."""


def N_(text: str) -> str:
    """Marks a text for scripts/translate.py."""
    return text


MESSAGES = (
    N_("This link or code does not work any more. Ask for a new mail."),
    N_("Use at least {number} characters."),
    N_("Use at most {number} characters."),
    N_("Do not use your name, your address or the name of this service."),
    N_("This password is among the most common ones. Choose another."),
    N_("The two new passwords are not the same."),
    N_("Too many attempts. Try again later."),
    N_("Too many logins are under way. Try again shortly."),
    N_("An account with this e-mail address exists already, or did until recently."),
    N_("You have changed your e-mail address or username too often. Try again later."),
    N_("The database cannot be reached at the moment."),
    N_("There is no such thing."),
    N_("Not Found"),
    N_("Method Not Allowed"),
    N_("Something went wrong on our side."),
)
