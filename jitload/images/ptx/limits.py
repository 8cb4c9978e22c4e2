"""How much one PTX text may ask for: bounds far above what compilers write, each with its own words when it is passed.

They keep a hostile or broken text from taking minutes and gigabytes before it is refused. The largest kernels seen in
public code have 18,000 instructions; NVRTC nests braces and parentheses three deep.
"""

from __future__ import annotations

TEXT_BYTES = 16 << 20
TOKENS = 4 << 20
#: Braces, parentheses, brackets of initialisers, conditions within conditions: in one another.
NESTING = 32
#: Digits of a number, which has 64 bits.
DIGITS = 400
#: Of a variable, named or filled up with zeros.
INITIAL_VALUES = 1 << 19
#: A GPU takes 32,764 bytes of them (PTX ISA section 5.1.6).
PARAMETERS = 4096
PARAMETER_BYTES = 32764
#: Declared in one function.
REGISTERS = 1 << 20
#: Declared as vectors, whose elements are registers with names.
VECTOR_REGISTERS = 1 << 14
#: Of one kernel, with all functions that it reaches.
INSTRUCTIONS = 1 << 16
BLOCKS = 1 << 16
#: Labels in the tables of one kernel.
BRANCH_TARGETS = 1 << 12
#: Registers of a function times its blocks: what must be known of who reads what where.
LIVE_BITS = 1 << 27
#: Local memory of a thread, and so of the calls that it is in: what a GPU has.
LOCAL_BYTES = 512 << 10
#: Static shared memory of a block: what ptxas takes for every GPU. More of it is dynamic.
STATIC_SHARED_BYTES = 48 << 10
#: Calls in one another.
CALLS = 4096
