"""Histories of every release, replayed on today's code."""
