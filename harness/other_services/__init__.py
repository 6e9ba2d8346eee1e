"""Services of other makers, from which users and tokens are moved. They run in .venv-moving."""
