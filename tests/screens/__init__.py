"""What operators see: pictures of the Web UI, to be looked at."""
