"""Money: prices in one currency, what a node costs an hour, and bills that add up to the cent."""
