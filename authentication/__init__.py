"""The rules of Counterfoil. Knows neither HTTP nor SQL."""
