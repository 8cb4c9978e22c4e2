"""The executor's second engine: kernels as machine code, by LLVM. Optional (`jitload[native]`), never the reference.

One thread runs from meeting to meeting by itself, with its registers in a frame while it waits. A kernel with anything
in it that has no native column is refused before it runs, and runs on lanes.
"""
