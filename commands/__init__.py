"""Groups of commands of the `registrar` program that are more than a few lines, one module each."""
