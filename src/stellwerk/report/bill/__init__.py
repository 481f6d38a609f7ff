"""The measured bill for people and for programs: table, JSON, YAML, CSV, FOCUS."""
