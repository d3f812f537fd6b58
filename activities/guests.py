"""People who are known by a cart alone: written down when they fill one, forgotten with it."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, case, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from models.identifiers import new_id
from models.tables import Cart, Person, Subscription
from models.tables.columns import now

ERASED_NAME = "erased"
_ERASED_DOMAIN = "@erased.invalid"
# Traces of what was written to a guest, without a word about them.
_TRACES = frozenset({"carts", "mails", "subscriptions", "consents"})


async def guest_person(session: AsyncSession, email: str, *, full_name: str, locale: str, time_zone: str) -> UUID:
    """The person with this address: their account, else the guest, who is written down if nobody has it yet.

    What is known of somebody is never changed, since whoever fills a cart has not shown that the address is theirs.
    """
    moment = now()
    written = (
        insert(Person)
        .values(
            id=new_id(),
            created_at=moment,
            updated_at=moment,
            email=email,
            full_name=full_name,
            locale=locale,
            time_zone=time_zone,
            is_guest=True,
            may_pay_by_invoice=False,
        )
        .on_conflict_do_nothing()
        .returning(col(Person.id))
    )
    made = (await session.execute(written)).scalar_one_or_none()
    if made is not None:
        return made
    known = select(col(Person.id)).where(func.lower(Person.email) == func.lower(email))
    return (await session.execute(known)).scalar_one()


async def anonymize_guests(session: AsyncSession, person_ids: Collection[UUID]) -> list[UUID]:
    """Forget name and address of those of the people who are guests and whom nothing refers to any more but carts that
    are erased and the traces of mails. Answers whom.

    The address of somebody who said no to a list, or called a mail spam, stays: without it the no would be forgotten.
    Wants the people locked.
    """
    said_no = exists().where(
        col(Subscription.person_id) == col(Person.id),
        col(Subscription.withdrawn_at).is_not(None) | col(Subscription.complained_at).is_not(None),
    )
    has_cart = exists().where(col(Cart.person_id) == col(Person.id), col(Cart.erased_at).is_(None))
    erased = (
        update(Person)
        .where(col(Person.id).in_(person_ids), col(Person.is_guest), ~has_cart, ~or_(*_references()))
        .values(
            email=case((said_no, col(Person.email)), else_=func.concat(col(Person.id), literal(_ERASED_DOMAIN))),
            full_name=ERASED_NAME,
            country=None,
            billing_name=None,
            billing_address=None,
            tax_number=None,
            updated_at=now(),
        )
        .returning(col(Person.id))
        .execution_options(synchronize_session=False)
    )
    return list((await session.execute(erased)).scalars())


def is_erased(person: Person) -> bool:
    """Whether this was a guest who was forgotten."""
    return person.is_guest and person.full_name == ERASED_NAME and person.email.endswith(_ERASED_DOMAIN)


def _references() -> list[ColumnElement[bool]]:
    """For every column of the record that refers to people, but for traces, whether a row refers to this one."""
    return [
        exists().where(reference.parent == col(Person.id))
        for table in SQLModel.metadata.sorted_tables
        if table.name not in _TRACES
        for reference in table.foreign_keys
        if reference.column.table.name == "people"
    ]
