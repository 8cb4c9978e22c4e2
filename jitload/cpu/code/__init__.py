"""From functions of PTX to generated Python: blocks, liveness, layout, and the writer of block functions."""
