"""Lowered names (Itanium C++ ABI, section 5.1): what a symbol says about the types of a kernel's parameters.

A demangler gives text, from which it cannot be told whether `Traits<float>::type` is a class or stands for another
type. Here a symbol is read into a tree (`reader.py`), and types are made of that (`instantiate.py`).
"""
