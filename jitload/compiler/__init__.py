"""CUDA C++ source to artifacts: requests, headers, keys, NVRTC."""
