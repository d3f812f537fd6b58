"""The record of an application's decisions as a PDF."""

from activities.decision_record import DecisionRecord


def render_decision_record(record: DecisionRecord) -> bytes:
    """The file."""
    raise NotImplementedError
