"""HTTP blueprints, one file per noun."""
