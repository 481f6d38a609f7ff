"""Between the simulated world and measurements: GPUs shown as metrics, and metrics as a demand to replay."""
