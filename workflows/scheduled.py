"""The moment that a schedule has meant this run for."""

from datetime import datetime

from temporalio import workflow
from temporalio.common import SearchAttributeKey

_SCHEDULED = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


def scheduled_at() -> datetime:
    """When this run was meant to start (UTC): what it is about follows from it, so that late and repeated runs do the
    same.
    """
    return workflow.info().typed_search_attributes.get(_SCHEDULED) or workflow.info().start_time
