"""The instructions, a row each: how it is written, what it does to others, how it is counted, what it computes."""
