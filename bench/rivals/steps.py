"""The five steps of an order as a team would write them by hand: plain, idempotent, alike for every engine.

Reserve a seat, charge with an idempotency key, mark it paid, write the receipt's row, mail. What an engine adds is only
that each step is taken, in this order, and taken again after a crash.
"""

import os
import smtplib
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cache
from typing import Self

import stripe
from sqlalchemy import Engine, create_engine, text

PRICE = 4900
MAILED = "mailed"
_CONNECTIONS = 20

SCHEMA = (
    "CREATE TABLE courses (id int PRIMARY KEY, seats_taken int NOT NULL)",
    "INSERT INTO courses VALUES (1, 0)",
    "CREATE TABLE orders (id uuid PRIMARY KEY, status text NOT NULL, payment_intent text, mailed_at timestamptz,"
    " created_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE receipts (order_id uuid PRIMARY KEY REFERENCES orders, amount int NOT NULL,"
    " number bigint GENERATED ALWAYS AS IDENTITY)",
)
_RESERVE = text("INSERT INTO orders (id, status) VALUES (:id, 'reserved') ON CONFLICT DO NOTHING RETURNING id")
_SEAT = text("UPDATE courses SET seats_taken = seats_taken + 1 WHERE id = 1")
_PAID = text("UPDATE orders SET status = 'paid', payment_intent = :intent WHERE id = :id")
_RECEIPT = text("INSERT INTO receipts (order_id, amount) VALUES (:id, :amount) ON CONFLICT DO NOTHING")
_MAILED = text("UPDATE orders SET mailed_at = clock_timestamp() WHERE id = :id")
_TELL = text("SELECT pg_notify(:channel, :id)")


@dataclass(frozen=True)
class Places:
    """Where everything is; handed to worker processes through their environment."""

    database_url: str
    stripe_url: str
    stripe_key: str
    smtp_port: int

    @classmethod
    def from_environment(cls) -> Self:
        """As the contest has set it. Raises `KeyError`."""
        read = os.environ
        return cls(
            read["RIVALS_DATABASE_URL"],
            read["RIVALS_STRIPE_URL"],
            read["RIVALS_STRIPE_KEY"],
            int(read["RIVALS_SMTP_PORT"]),
        )

    @property
    def environment(self) -> dict[str, str]:
        """For the process of a worker."""
        return {
            "RIVALS_DATABASE_URL": self.database_url,
            "RIVALS_STRIPE_URL": self.stripe_url,
            "RIVALS_STRIPE_KEY": self.stripe_key,
            "RIVALS_SMTP_PORT": str(self.smtp_port),
        }


@cache
def _parts() -> tuple[Engine, stripe.StripeClient, int]:
    places = Places.from_environment()
    client = stripe.StripeClient(
        places.stripe_key,
        base_addresses={"api": places.stripe_url},
        http_client=stripe.HTTPXClient(timeout=20, allow_sync_methods=True),
        max_network_retries=2,
    )
    engine = create_engine(places.database_url, pool_size=_CONNECTIONS, max_overflow=0)
    return engine, client, places.smtp_port


def reserve(order_id: str) -> None:
    """A seat and the order's row."""
    with _parts()[0].begin() as connection:
        if connection.execute(_RESERVE, {"id": order_id}).first() is not None:
            connection.execute(_SEAT)


def charge(order_id: str) -> str:
    """The payment at once; its id at Stripe."""
    intent = _parts()[1].v1.payment_intents.create(
        {
            "amount": PRICE,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"order_id": order_id},
        },
        {"idempotency_key": f"{order_id}:charge"},
    )
    return str(intent.id)


def mark_paid(order_id: str, intent: str) -> None:
    """The order's row."""
    with _parts()[0].begin() as connection:
        connection.execute(_PAID, {"id": order_id, "intent": intent})


def write_receipt(order_id: str) -> None:
    """The receipt's row."""
    with _parts()[0].begin() as connection:
        connection.execute(_RECEIPT, {"id": order_id, "amount": PRICE})


def mail(order_id: str) -> None:
    """One mail, then the order's row says so, and whoever waits is told."""
    message = EmailMessage()
    message["From"], message["To"] = "academy@registrar.test", "student@registrar.test"
    message["Subject"] = "Your order"
    message["Message-ID"] = f"<{order_id}@rivals.test>"
    message.set_content(f"Thank you for your order {order_id}.")
    with smtplib.SMTP("127.0.0.1", _parts()[2], timeout=20) as server:
        server.send_message(message)
    with _parts()[0].begin() as connection:
        connection.execute(_MAILED, {"id": order_id})
        connection.execute(_TELL, {"channel": MAILED, "id": order_id})
