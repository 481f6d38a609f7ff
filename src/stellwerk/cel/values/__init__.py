"""The values of the language that Python has no class for, and what all values share."""
