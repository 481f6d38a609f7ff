"""Series as they were scraped -> Usage: which device, which pod, counted once. Entry: `join.join_series`."""
