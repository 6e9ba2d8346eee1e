"""All SQL, one file per noun. Functions, not classes; they take the session or return a query."""
