"""An example of each command, in docs/reference/commands.md and run by the tests."""

EXAMPLES = {
    "api-keys create": "python api.py api-keys create ada@example.org --name 'Nightly report'",
    "api-keys list": "python api.py api-keys list --user ada@example.org",
    "api-keys revoke": "python api.py api-keys revoke --key - <key.txt\n"
    "python api.py api-keys revoke --user ada@example.org",
    "audit list": "python api.py audit list --event login.failed --since 2026-11-01 --limit 20\n"
    "python api.py audit list --user ada@example.org --json",
    "check": "python api.py check",
    "clients change": "python api.py clients change calendar --name 'Team calendar' \\\n"
    "  --redirect-uri https://calendar.example.org/signed-in",
    "clients create": "python api.py clients create Calendar --id calendar --confidential \\\n"
    "  --redirect-uri https://calendar.example.org/callback --scope account",
    "clients delete": "python api.py clients delete calendar",
    "clients disable": "python api.py clients disable calendar",
    "clients enable": "python api.py clients enable calendar",
    "clients list": "python api.py clients list",
    "clients rotate-secret": "python api.py clients rotate-secret calendar --overlap-seconds 3600",
    "completion": "python api.py completion bash",
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
    "roles change": "python api.py roles change moderator --scope 'moderate comments:delete'",
    "roles create": "python api.py roles create editor --scope 'articles:read articles:write'",
    "roles delete": "python api.py roles delete moderator --yes",
    "roles grant": "python api.py roles grant ada@example.org moderator",
    "roles list": "python api.py roles list --headers",
    "roles revoke": "python api.py roles revoke ada@example.org moderator",
    "secret-key": "python api.py secret-key",
    "secret-key rotate": "python api.py secret-key rotate",
    "serve": "python api.py serve --host 0.0.0.0 --port 9000 --workers 2",
    "sessions list": "python api.py sessions list\n"
    "python api.py sessions list --user ada@example.org",
    "sessions revoke": "python api.py sessions revoke --token - <token.txt\n"
    "python api.py sessions revoke --user ada@example.org\n"
    "python api.py sessions revoke --all",
    "settings show": "python api.py settings show",
    "set-password": "python api.py set-password ada@example.org --password-stdin <password.txt",
    "users create": "python api.py users create robot@example.org --no-password",
    "users delete": "python api.py users delete ada@example.org --yes",
    "users disable": "python api.py users disable ada@example.org",
    "users enable": "python api.py users enable ada@example.org",
    "users list": "python api.py users list --search ada --active --limit 20",
    "users rename": "python api.py users rename ada@example.org --surname Lovelace",
    "users set-password": "python api.py users set-password ada@example.org \\\n"
    "  --password-stdin <password.txt",
    "users show": "python api.py users show ada@example.org --json",
}
