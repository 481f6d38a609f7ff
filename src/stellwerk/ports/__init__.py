"""What the loop needs of a world, as narrow Protocols, each with its in-memory form."""
