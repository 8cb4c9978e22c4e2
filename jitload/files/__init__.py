"""Files: the one writer, the one opener of directories that others may reach, and locks."""
