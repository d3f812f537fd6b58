"""The steps of a cart: changed, abandoned, reminded of, over."""

from dataclasses import dataclass

from temporalio import activity

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
        raise NotImplementedError
