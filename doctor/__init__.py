"""What `registrar doctor` looks at: every part that Registrar depends on, and every setting."""
