"""C++ text and the headers it names."""
