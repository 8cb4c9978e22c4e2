"""Arithmetic on arrays of lanes, as the PTX ISA defines it; nothing here knows of instructions or memory."""
