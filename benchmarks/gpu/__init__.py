"""What `benchmarks/gpu_day.py` asks of a GPU: one module per step, and what runs, bounds and reports them."""
