"""Images of kernels as bytes: what they are, whether they are whole, and what they tell of their kernels."""
