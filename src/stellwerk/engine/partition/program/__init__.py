"""The integer program of a partition: shapes, columns, the solver, and its answer as GPUs and pods."""
