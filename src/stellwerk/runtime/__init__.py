"""The loop that drives every world: an agenda of events, pure controllers, effects performed by ports."""
