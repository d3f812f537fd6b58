"""The task queues. Documents have their own, so that rendering never delays a payment."""

REGISTRAR_QUEUE = "registrar"
DOCUMENTS_QUEUE = "registrar-documents"
