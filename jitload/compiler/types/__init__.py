"""The C++ types of kernels: how they are spelled, and how lowered names and sources tell them."""
