"""What is written down of kernels for people who look into them, and what they put in the place of images."""
