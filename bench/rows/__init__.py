"""The rows of the table, one module each: `measure(rig, size)` returns its rows. A new module is found by itself."""
