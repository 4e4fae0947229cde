"""Long measurements; each writes its table under reports/."""
