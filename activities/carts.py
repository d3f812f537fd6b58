"""The steps of a cart: changed, abandoned, reminded of, over."""

from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from models.messages.carts import (
    AbandonedCart,
    CartStep,
    ChangedCart,
    CheckedReminder,
    CheckReminder,
    EndCart,
    RecordChange,
)
from models.tables import Cart, CartLine
from models.tables.columns import now
from models.vocabulary import CartStatus
from rules.cart import LIVE


@dataclass
class CartActivities:
    """What becomes of a cart. Each step may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def change_cart(self, step: RecordChange) -> ChangedCart:
        """Write what is in the cart from now on, priced as now; the newest cart of a person ends their older ones.

        Refused with `cart_over`, `unknown_course`, `unknown_person`. No courses: the cart is cleared.
        """
        raise NotImplementedError

    @activity.defn
    async def abandon_cart(self, step: CartStep) -> AbandonedCart:
        """Nobody has touched it: open → abandoned, and when each mail is due that is left."""
        raise NotImplementedError

    @activity.defn
    async def check_reminder(self, step: CheckReminder) -> CheckedReminder:
        """Look at the record whether this mail may go out, and make its coupon ready if it offers one.

        A skip is written down in the ledger of mails with its reason.
        """
        raise NotImplementedError

    @activity.defn
    async def end_cart(self, step: EndCart) -> CheckedReminder:
        """Let it end, and forget what was in it and who a guest was. A cart that was bought meanwhile stays so."""
        async with self.sessions.begin() as session:
            cart = await session.get_one(Cart, step.cart_id, with_for_update=True)
            if cart.status in LIVE:
                change = StateChange("cart", cart.id, cart.status, step.status)
                cart.status, cart.status_reason, cart.coupon_code = step.status, step.reason, None
                cart.ended_at = cart.erased_at = cart.updated_at = now()
                await session.execute(delete(CartLine).where(col(CartLine.cart_id) == cart.id))
                await write_audit(session, [change], actor=step.actor, reason=step.reason, workflow_id=step.workflow_id)
            return CheckedReminder(status=CartStatus(cart.status), is_last=True)
