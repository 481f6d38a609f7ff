"""Pure controllers: (event, now) -> effects. They hold state, and touch no world."""
