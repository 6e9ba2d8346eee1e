"""An example of each command, in docs/reference/commands.md and run by the tests."""

EXAMPLES = {
    "api-keys list": "python api.py api-keys list --user ada@example.org",
    "api-keys revoke": "python api.py api-keys revoke --key - <key.txt\n"
    "python api.py api-keys revoke --user ada@example.org",
    "check": "python api.py check",
    "create-api-key": "python api.py create-api-key ada@example.org --name 'Nightly report' \\\n"
    "  --scope introspect --expires-in-days 90",
    "create-user": "python api.py create-user grace@example.org --name Grace --role admin \\\n"
    "  --password-stdin <password.txt",
    "demo": "python api.py demo --users 20",
    "disable-user": "python api.py disable-user ada@example.org",
    "enable-user": "python api.py enable-user ada@example.org",
    "import-tokens": "python api.py import-tokens --from knox sqlite:///django.db --dry-run",
    "import-users": "python api.py import-users users.csv --dry-run\n"
    "python api.py import-users users.csv",
    "factors list": "python api.py factors list ada@example.org",
    "factors remove": "python api.py factors remove ada@example.org",
    "mail list": "python api.py mail list --unsent",
    "mail retry": "python api.py mail retry",
    "mail test": "python api.py mail test you@example.org",
    "migrate": "python api.py migrate",
    "prune": "python api.py prune --dry-run\n"
    "python api.py prune --keep-days 30 --audit-keep-days 365",
    "secret-key": "python api.py secret-key",
    "secret-key rotate": "python api.py secret-key rotate",
    "serve": "python api.py serve --host 0.0.0.0 --port 9000 --workers 2",
    "sessions list": "python api.py sessions list\n"
    "python api.py sessions list --user ada@example.org",
    "sessions revoke": "python api.py sessions revoke --token - <token.txt\n"
    "python api.py sessions revoke --user ada@example.org\n"
    "python api.py sessions revoke --all",
    "set-password": "python api.py set-password ada@example.org --password-stdin <password.txt",
}
