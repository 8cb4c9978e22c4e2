"""What benchmarks/launch.py measures: the rows, and a driver and tensors that cost nothing themselves."""
