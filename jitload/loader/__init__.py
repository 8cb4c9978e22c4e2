"""Kind-dispatching loading of bytes into modules."""
