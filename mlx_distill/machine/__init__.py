"""The machine: what it is, its BLAS, a watchdog for its GPU, and the sandbox in which models' code runs."""
