"""Durable orchestration, one module per job. Deterministic, no I/O; `run` reads like the story of the job."""
