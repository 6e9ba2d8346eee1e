"""Messages of errors that pages show, for their translation: see `rendering.translate`."""


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
    N_("{number} days"),
    N_("The user name or the password is wrong."),
    N_("The current password is wrong."),
    N_("Confirm your e-mail address first. A mail with a link is on its way."),
    N_("This user has as many sessions as allowed. End one of them first."),
    N_("Too many mails are being asked for. Try again shortly."),
    N_("This e-mail address is verified already."),
    N_("An account with this username exists already, or did until recently."),
    N_("You have as many API keys as allowed. Revoke one of them first."),
    N_("This API key has been rotated before. Rotate its successor."),
    N_("A scope was asked for that this user cannot be given."),
    N_("This is not an e-mail address that we can use."),
    N_("Use letters, digits and . _ + - only, at most {number}, and not digits alone."),
    N_("Use {number} to 200 visible characters."),
    N_("Use {number} to 2,000 visible characters."),
    N_("There is no such application."),
    N_("Choose one of these."),
    N_("This is not a cursor that this service issued."),
    N_("This page is too old. Go back to the application and start again."),
    N_("No device shows this code, or it has expired."),
    N_("The application that sent you here is not registered in this way."),
    N_("There is no such thing."),
    N_("Not Found"),
    N_("Method Not Allowed"),
    N_("Something went wrong on our side."),
)
