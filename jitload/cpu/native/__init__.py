"""The executor's second engine: kernels as machine code, by LLVM. Optional (`jitload[native]`), never the reference.

Eight threads in a row run from meeting to meeting together, or one by itself, with their registers in frames while they
wait. A kernel with anything in it that has no native column is refused before it runs, and runs on lanes.
"""
