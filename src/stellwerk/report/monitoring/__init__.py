"""What a monitoring stack needs to measure GPUs as Stellwerk reads them, and to say what it found."""
