"""Several worker processes on one PostgreSQL, and what may happen to them: `python -m tests.workers`."""
