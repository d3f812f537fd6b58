"""A cart: watched until it is bought, cleared or lost."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.carts import CartAnswer, CartOutcome, CartStart, ChangeCart


@workflow.defn(name="CartWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CartWorkflow:
    """One cart, one run at a time."""

    @workflow.run
    async def run(self, start: CartStart) -> CartOutcome:
        """Not written here."""
        raise NotImplementedError

    @workflow.update(description="What is in the cart from now on")
    async def change(self, wish: ChangeCart) -> CartAnswer:
        """Not written here."""
        raise NotImplementedError

    @workflow.update(description="No thanks: delete what is in the cart")
    async def clear(self) -> CartAnswer:
        """Not written here."""
        raise NotImplementedError

    @workflow.signal(description="The person wants no mails about it")
    def unsubscribed(self) -> None:
        """Not written here."""
