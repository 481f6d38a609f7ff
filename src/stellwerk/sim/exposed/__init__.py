"""What a replayed fleet shows at one moment, as metrics of those who would show it on a cluster."""
