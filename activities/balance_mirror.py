"""Stripe's own books, kept beside the record: what each movement of money cost, and which payout it went into.

A line keeps the amounts that were read first. Should Stripe tell others later, that is a finding, and the line follows
once a person has accepted it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import stripe
from sqlalchemy import ARRAY, String, Uuid, any_, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from activities.stripe_books import StripeBooks, charged_payment, named_order, side_by_side, windows
from models.identifiers import finding_id_for
from models.tables import BalanceTransaction, Dispute, Finding, Order, Payment, Refund
from models.tables.columns import now
from models.vocabulary import FindingKind, FindingStatus
from rules.reconciliation import PaymentAtStripe
from rules.stripe_fees import BalanceLine, FeeLimit, PaidOut, line_difference


@dataclass
class MirroredBalance:
    """What was read: how many lines, those of them that may be wrong, the payments that they brought in, and the
    payouts with what they come to.
    """

    since: datetime
    paid_until: datetime
    limit: FeeLimit
    read: int = 0
    doubtful: dict[str, BalanceLine] = field(default_factory=dict)
    payments: dict[str, PaymentAtStripe] = field(default_factory=dict)
    payouts: list[PaidOut] = field(default_factory=list)


async def mirror_balance(
    sessions: Sessions,
    books: StripeBooks,
    since: datetime,
    paid_until: datetime,
    limit: FeeLimit,
    also: Collection[str] = (),
) -> MirroredBalance:
    """Read the lines and payouts since then, and those that are named, and write down what is new.

    Of payments that came in before, or after `paid_until`, nothing is told. The same again changes nothing but
    `read_at`. The lines of a payout that is written down whole are not read again.
    """
    mirrored = MirroredBalance(since, paid_until, limit)

    async def read(begun: datetime, ended: datetime | None) -> None:
        async for page in books.balance(begun, ended):
            await _take(sessions, page, mirrored)

    *closed, (last, _) = windows(since, paid_until)
    await side_by_side(partial(read, *window) for window in (*closed, (last, None)))
    payouts = {payout.id: payout for payout in await books.payouts(since)}
    for each in also:
        if each.startswith("txn_") and each not in mirrored.doubtful and (line := await books.balance_line(each)):
            await _take(sessions, [line], mirrored)
        elif each.startswith("po_") and each not in payouts and (payout := await books.payout(each)):
            payouts[each] = payout
    # Which lines go into a payout Stripe finds out only after a while; until then it tells of some of them.
    whole = [
        payout
        for payout in payouts.values()
        if payout.automatic
        and payout.status not in ("failed", "canceled")
        and payout.reconciliation_status != "in_progress"
    ]
    written = await _paid_out(sessions, [payout.id for payout in whole])
    for payout in whole:
        if written.get(payout.id) != payout.amount:
            written[payout.id] = 0
            async for page in books.payout_lines(payout.id):
                await _take(sessions, page, mirrored, payout.id)
                written[payout.id] += sum(line.net for line in page if line.type != "payout")
        mirrored.payouts.append(PaidOut(payout.id, payout.amount, payout.currency.upper(), written[payout.id]))
    await _name_orders(sessions, mirrored, since, [payout.id for payout in whole], also)
    return mirrored


async def _paid_out(sessions: Sessions, payout_ids: Sequence[str]) -> dict[str, int]:
    """What the lines come to that are written down of these payouts, in minor units."""
    line = BalanceTransaction
    query = (
        select(col(line.payout_id), func.sum(col(line.net)))
        .where(col(line.payout_id) == any_(literal(list(payout_ids), ARRAY(String))), col(line.type) != "payout")
        .group_by(col(line.payout_id))
    )
    async with sessions() as session:
        return {str(payout_id): int(amount) for payout_id, amount in await session.execute(query)}


async def _take(
    sessions: Sessions,
    page: Sequence[stripe.BalanceTransaction],
    mirrored: MirroredBalance,
    payout_id: str | None = None,
) -> None:
    for line in page:
        # The lines of a payout reach further back.
        is_wanted = int(mirrored.since.timestamp()) <= line.created <= mirrored.paid_until.timestamp()
        if is_wanted and isinstance(line.source, stripe.Charge) and (payment := charged_payment(line.source)):
            mirrored.payments[payment.payment_intent_id] = payment
    named = {line.id: _named_order(line) for line in page}
    async with sessions.begin() as session:
        await _lock(session)
        wanted = {order_id for order_id in named.values() if order_id is not None}
        ours = select(col(Order.id)).where(col(Order.id) == any_(literal(list(wanted), ARRAY(Uuid))))
        orders = set((await session.execute(ours)).scalars()) if wanted else set()
        known = await _known(session, {line.id: line.fee for line in page})
        await _write(session, page, {each: order for each, order in named.items() if order in orders}, payout_id)
    mirrored.read += len(page)
    for line in page:
        kept = known.get(line.id)
        read = BalanceLine(
            stripe_id=line.id,
            type=line.type,
            order_id=None,
            amount=line.amount,
            fee=line.fee,
            net=line.net,
            currency=line.currency.upper(),
            known_fee=None if kept is None else kept.fee,
        )
        if line_difference(read, mirrored.limit) is not None:
            mirrored.doubtful[line.id] = read


async def _lock(session: AsyncSession) -> None:
    """One writes at a time: two runs that write the same lines in another order would wait for each other."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("balance_transactions"))))


async def _known(session: AsyncSession, fees: Mapping[str, int]) -> dict[str, BalanceTransaction]:
    """The lines that are written down already. One whose new fee a person has accepted has that fee from now on."""
    findings = [finding_id_for(FindingKind.FEE_MISMATCH, each) for each in fees]
    accepted = select(col(Finding.stripe_id), col(Finding.found_amount)).where(
        col(Finding.id) == any_(literal(findings, ARRAY(Uuid))), col(Finding.status) == FindingStatus.ACCEPTED
    )
    settled = {row[0]: row[1] for row in await session.execute(accepted)}
    query = select(BalanceTransaction).where(
        col(BalanceTransaction.stripe_id) == any_(literal(list(fees), ARRAY(String)))
    )
    known = {line.stripe_id: line for line in (await session.execute(query)).scalars()}
    for stripe_id, line in known.items():
        if settled.get(stripe_id) == fees[stripe_id] != line.fee:
            line.fee, line.net = fees[stripe_id], line.amount - fees[stripe_id]
    return known


async def _write(
    session: AsyncSession,
    page: Sequence[stripe.BalanceTransaction],
    orders: Mapping[str, UUID | None],
    payout_id: str | None,
) -> None:
    moment = now()
    rows = [
        {
            "stripe_id": line.id,
            "type": line.type[:64],
            "source_id": line.source if isinstance(line.source, str | None) else line.source.id,
            "order_id": orders.get(line.id),
            "amount": line.amount,
            "fee": line.fee,
            "net": line.net,
            "currency": line.currency.upper(),
            "payout_id": payout_id,
            "available_on": datetime.fromtimestamp(line.available_on, UTC),
            "stripe_created_at": datetime.fromtimestamp(line.created, UTC),
            "read_at": moment,
        }
        for line in page
    ]
    new = insert(BalanceTransaction).values(rows)
    renewed = {
        "order_id": func.coalesce(col(BalanceTransaction.order_id), new.excluded.order_id),
        "payout_id": func.coalesce(new.excluded.payout_id, col(BalanceTransaction.payout_id)),
        "available_on": new.excluded.available_on,
        "read_at": new.excluded.read_at,
    }
    await session.execute(new.on_conflict_do_update(index_elements=["stripe_id"], set_=renewed))


async def _name_orders(
    sessions: Sessions,
    mirrored: MirroredBalance,
    since: datetime,
    payout_ids: Collection[str],
    also: Collection[str],
) -> None:
    """Lines whose object does not name its order are known by the payment, refund or dispute that they are of."""
    line = BalanceTransaction
    were_read = or_(
        col(line.stripe_created_at) >= since,
        col(line.payout_id) == any_(literal(list(payout_ids), ARRAY(String))),
        col(line.stripe_id) == any_(literal(list(also), ARRAY(String))),
    )
    async with sessions.begin() as session:
        await _lock(session)
        for owner, known_by in (
            (Payment, col(Payment.charge_id)),
            (Refund, col(Refund.stripe_refund_id)),
            (Dispute, col(Dispute.stripe_dispute_id)),
        ):
            await session.execute(
                update(line)
                .where(col(line.order_id).is_(None), were_read, col(line.source_id) == known_by)
                .values(order_id=col(owner.order_id))
            )
        named = select(col(line.stripe_id), col(line.order_id)).where(
            col(line.order_id).is_not(None),
            col(line.stripe_id) == any_(literal(list(mirrored.doubtful), ARRAY(String))),
        )
        orders = (await session.execute(named)).all()
    for stripe_id, order_id in orders:
        mirrored.doubtful[stripe_id] = replace(mirrored.doubtful[stripe_id], order_id=order_id)


def _named_order(line: stripe.BalanceTransaction) -> UUID | None:
    source = line.source
    return named_order(source) if isinstance(source, stripe.Charge | stripe.Refund) else None
