"""`jitload.cpu_profile`: counting what kernels do, and the report."""
