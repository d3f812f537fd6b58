"""Durable orchestration: one module per job. Deterministic, no I/O; a workflow's `run` reads like the story of the job."""
