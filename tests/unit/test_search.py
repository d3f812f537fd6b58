"""How jobs are listed from their start on."""

from temporalio.common import SearchAttributePair

from models import search
from models.vocabulary import OrderStatus, WaitingFor


def test_a_job_is_listed_with_plain_words_and_needs_nobody_at_its_start() -> None:
    order = SearchAttributePair(search.ORDER_ID, "1")
    listed = search.at_start("order", OrderStatus.PENDING_PAYMENT, WaitingFor.PAYMENT, order)
    assert {pair.key.name: pair.value for pair in listed} == {
        "RegistrarJob": "order",
        "RegistrarState": "pending_payment",
        "RegistrarWaitingFor": "payment",
        "RegistrarNeedsHuman": False,
        "RegistrarOrderId": "1",
    }
    assert {type(pair.value) for pair in listed} == {str, bool}
