"""Third parties, one module each: the only doors to files and to formats that others publish."""
