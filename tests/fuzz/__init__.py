"""Random rule files through the public door: never a traceback, never a hang, always file and line."""
