"""The CUDA driver: modules and launches on an NVIDIA GPU."""
