"""The network in a replay: which link each gang got, how much slower it is, and what that costs."""
