"""`python -m benchmarks`: its parts, the machine, and what is made of the rows."""
