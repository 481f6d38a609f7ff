"""Where demand comes from: the generators in this package, a trace, or what a user brings."""
