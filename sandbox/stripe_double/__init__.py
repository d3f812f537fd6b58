"""A stateful double of Stripe that the official client talks to: same objects, same rules, same failures.

Start it with ``python -m sandbox.stripe_double`` or, in a test, ``async with StripeDouble.serve() as double``.
What no customer, bank or network does on its own is done through the control API; ``README.md`` lists it.
"""

from sandbox.stripe_double.control import OrderMoney
from sandbox.stripe_double.control_client import ControlError, StripeDoubleControl
from sandbox.stripe_double.faults import Fault, FaultKind, FaultRequest
from sandbox.stripe_double.request_log import LoggedRequest, RequestCounts
from sandbox.stripe_double.server import API_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, StripeDouble
from sandbox.stripe_double.webhooks import DeliveryReport, DeliverySettings

__all__ = [
    "API_KEY",
    "PUBLISHABLE_KEY",
    "WEBHOOK_SECRET",
    "ControlError",
    "DeliveryReport",
    "DeliverySettings",
    "Fault",
    "FaultKind",
    "FaultRequest",
    "LoggedRequest",
    "OrderMoney",
    "RequestCounts",
    "StripeDouble",
    "StripeDoubleControl",
]
