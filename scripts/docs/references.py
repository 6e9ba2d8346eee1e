"""Writes the pages of docs/reference/ that are made from the code.

Run `python -m scripts.docs.references` after a change of settings, commands, endpoints or tables;
a test compares.
"""

from scripts.docs import command_reference, endpoint_reference, settings_reference, table_reference

MADE = {
    settings_reference.ENV_EXAMPLE: settings_reference.env_example,
    settings_reference.REFERENCE: settings_reference.reference,
    command_reference.REFERENCE: command_reference.reference,
    endpoint_reference.REFERENCE: endpoint_reference.reference,
    table_reference.REFERENCE: table_reference.reference,
}


def main() -> None:
    for page, make in MADE.items():
        page.write_text(make())


if __name__ == "__main__":
    main()
