"""How long the learning platform may take to open a course that is paid for (reference list 10.1)."""

from datetime import timedelta

TRIED_FOR = timedelta(hours=24)
REFUNDED_AFTER = timedelta(hours=72)
