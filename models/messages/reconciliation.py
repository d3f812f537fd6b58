"""What is said about comparing the record with Stripe."""

from typing import Literal

from models.messages.message import Message


class Reconcile(Message):
    """The input of `ReconciliationWorkflow`."""

    scope: Literal["recent", "nightly"]


class CatchUp(Message):
    """The input of `StripeCatchUpWorkflow`."""
