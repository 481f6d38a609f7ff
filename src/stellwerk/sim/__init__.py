"""World 1: demand under virtual time, on simulated nodes and GPUs, with faults by seed."""
