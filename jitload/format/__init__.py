"""Readers of what others may have written: bytes in, checked values out, no file is touched here."""
