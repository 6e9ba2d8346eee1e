"""Generates `.env.example`, docs/openapi.json and the pages of docs/reference/ from the code.

Run `python -m scripts.docs.references` after a change of settings, commands, endpoints or tables,
and of the version, which the JavaScript client shares. A test fails if a file is outdated.
"""

from scripts.docs import (
    command_reference,
    endpoint_reference,
    javascript_package,
    openapi_file,
    settings_reference,
    table_reference,
)

GENERATORS = {
    settings_reference.ENV_EXAMPLE: settings_reference.env_example,
    settings_reference.REFERENCE: settings_reference.reference,
    command_reference.REFERENCE: command_reference.reference,
    endpoint_reference.REFERENCE: endpoint_reference.reference,
    table_reference.REFERENCE: table_reference.reference,
    openapi_file.REFERENCE: openapi_file.reference,
    javascript_package.REFERENCE: javascript_package.reference,
}


def main() -> None:
    for page, generate in GENERATORS.items():
        page.write_text(generate())


if __name__ == "__main__":
    main()
