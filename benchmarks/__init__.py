"""Load tests that compare Counterfoil with other services on the same machine."""
