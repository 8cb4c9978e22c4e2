"""What is compiled: CUDA C++ text, requests for it, options, archs and kinds."""
