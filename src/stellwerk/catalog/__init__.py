"""Facts as data: GPU models, MIG placements, node types and prices; each with its source and date."""
