"""From a checked tree to Python closures that evaluate it."""
