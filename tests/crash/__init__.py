"""The crash test: kills the running service at every failpoint, and counts what was lost, doubled or made up."""
