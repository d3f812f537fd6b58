"""People who are known by a cart alone: written down when they fill one, forgotten with it, known again if they return.

What a forgotten guest has said of our mail, and how much of it they had, holds for whoever comes with the same address.
So a keyed digest of the address stays (`people.email_digest`): with the key it tells whether an address is the one, and
without the key it tells nothing.
"""

import hmac
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, case, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from activities.people import lock_people
from models.identifiers import new_id
from models.tables import Academy, Cart, Person, Subscription
from models.tables.columns import now

ERASED_NAME = "erased"
_ERASED_DOMAIN = "@erased.invalid"
# Traces of what was written to a guest, without a word about them.
_TRACES = frozenset({"carts", "mails", "subscriptions", "consents"})
# The key signs links too: what is signed for one purpose is nothing for another.
_PURPOSE = b"guest\0"


async def guest_person(
    session: AsyncSession,
    email: str,
    *,
    full_name: str,
    locale: str | None = None,
    time_zone: str | None = None,
    secret: str | None,
) -> UUID:
    """The person with this address: their account, else the guest, who is written down if nobody has it yet.

    What is known of somebody is never changed, since whoever fills a cart has not shown that the address is theirs.
    A guest who was forgotten gets a name again; what they had said still holds. Language and zone are the academy's
    unless they are told. `secret` is the key of digests; without it a forgotten guest comes back as a stranger.
    """
    # By the rules of the index on addresses: the lower case of some letters depends on who is asked.
    lowered = (await session.execute(select(func.lower(email)))).scalar_one()
    digest = None if secret is None else hmac.digest(secret.encode(), _PURPOSE + lowered.encode(), "sha256").hex()
    moment = now()
    described = {
        "email": email,
        "full_name": full_name,
        "locale": func.coalesce(locale, select(col(Academy.locale)).scalar_subquery()),
        "time_zone": func.coalesce(time_zone, select(col(Academy.time_zone)).scalar_subquery()),
        "updated_at": moment,
    }
    other = aliased(Person)
    is_taken = exists().where(func.lower(other.email) == lowered)
    # A guest whose address was corrected since has it still.
    has_digest = exists().where(col(other.is_guest), col(other.email_digest) == literal(digest))
    known_again = (
        update(Person)
        .where(
            col(Person.is_guest),
            col(Person.full_name) == ERASED_NAME,
            (func.lower(Person.email) == lowered) | ((col(Person.email_digest) == literal(digest)) & ~is_taken),
        )
        .values(described)
        .returning(col(Person.id))
        .execution_options(synchronize_session=False)
    )
    written = (
        insert(Person)
        .values(
            id=new_id(),
            created_at=moment,
            is_guest=True,
            may_pay_by_invoice=False,
            email_digest=case((has_digest, None), else_=digest),
            **described,
        )
        .on_conflict_do_nothing()
        .returning(col(Person.id))
    )
    for statement in (known_again, written):
        person_id = (await session.execute(statement)).scalar_one_or_none()
        if person_id is not None:
            return person_id
    known = select(col(Person.id)).where(func.lower(Person.email) == lowered)
    return (await session.execute(known)).scalar_one()


async def keep_account(session: AsyncSession, person_id: UUID) -> None:
    """The person has an account: they have come with a token of their own. Whoever began as a guest is none any more,
    unless they are forgotten already."""
    is_forgotten = col(Person.email).endswith(_ERASED_DOMAIN)
    await session.execute(
        update(Person)
        .where(col(Person.id) == person_id, col(Person.is_guest), ~is_forgotten)
        .values(is_guest=False, email_digest=None, updated_at=now())
        .execution_options(synchronize_session=False)
    )


async def forget_guest(session: AsyncSession, person_id: UUID) -> None:
    """Forget a guest whose cart came to nothing, unless something else refers to them."""
    await lock_people(session, [person_id])
    await anonymize_guests(session, [person_id])


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
