"""Side effects: one module per aggregate or port. Classes hold their dependencies and are built once in `worker.py`."""
