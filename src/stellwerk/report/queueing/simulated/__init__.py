"""The same demand before and after a change: as a sentence, as a table, as data."""
