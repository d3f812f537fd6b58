"""Every Temporal Schedule, declared as data. `registrar schedules apply` makes the server's those (docs/production.md).

Each run is about the moment it was scheduled for (workflows/scheduled.py), so one that is late, or comes twice, does no
harm. Times of the day are the academy's.
"""

from datetime import time, timedelta

from temporalio.client import ScheduleOverlapPolicy

from models.messages.applications import ReassignReviews
from models.messages.checks import CheckCriticalMail, FindStuckJobs
from models.messages.exports import MakeReport
from models.messages.learning import WakeDrips
from models.messages.reconciliation import CatchUp, Reconcile
from models.messages.recurring import RemindOfInvoices, RetainDocuments, SweepExpired
from models.messages.refund_watch import SweepRefunds
from models.vocabulary import ExportReport
from workflows.recurring import Every, On, Recurring

_MONDAY = 0
# What is about a day, a week or a month is still worth having when the server was away for a night.
_LATE_BY_A_DAY = timedelta(hours=20)

SCHEDULES = (
    Recurring(
        id="refund-sweep",
        # Twice within the ten minutes in which a refund of the Dashboard is adopted (reference list 10.2).
        when=Every(timedelta(minutes=5)),
        workflow="RefundSweepWorkflow",
        argument=SweepRefunds(),
        summary="Refunds at Stripe that are not in the record",
        note="Refunds and disputes at Stripe that are not in the record are found.",
        # Each sweep looks back a day, so one is as good as all that were missed.
        catchup=timedelta(minutes=5),
        jitter=timedelta(seconds=10),
    ),
    Recurring(
        id="reassign-reviews",
        when=Every(timedelta(hours=1)),
        workflow="ReassignReviewsWorkflow",
        argument=ReassignReviews(),
        summary="Applications that are with absent reviewers",
        note="Applications of tutors that are with reviewers who are away go to those who are there.",
        catchup=timedelta(hours=1),
        jitter=timedelta(minutes=1),
        # A run whose mails wait for the mail server holds up no other.
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="wake-drips",
        # A place that ends tells its job by this alone; nothing opens meanwhile, since each step reads the record.
        when=Every(timedelta(minutes=5)),
        workflow="WakeDripsWorkflow",
        argument=WakeDrips(),
        summary="Enrollments that nobody has looked at in time",
        note="Jobs of enrollments that should have looked at them and have not are woken, or started.",
        catchup=timedelta(minutes=5),
        jitter=timedelta(seconds=10),
    ),
    Recurring(
        id="reconcile-recent",
        when=Every(timedelta(minutes=15)),
        workflow="ReconciliationWorkflow",
        argument=Reconcile(scope="recent"),
        summary="The orders of the last day against Stripe",
        note="Orders of the last day are compared with Stripe; what can be healed is.",
        catchup=timedelta(minutes=15),
        jitter=timedelta(minutes=1),
    ),
    Recurring(
        id="reconcile-nightly",
        # After the hours that a change of the clock leaves out.
        when=On(time(4, 30)),
        workflow="ReconciliationWorkflow",
        argument=Reconcile(scope="nightly"),
        summary="The week against Stripe",
        note="All of the last 7 days is compared with Stripe, with a workbook.",
        catchup=_LATE_BY_A_DAY,
        jitter=timedelta(minutes=5),
    ),
    Recurring(
        id="stripe-events",
        when=Every(timedelta(hours=1)),
        workflow="StripeCatchUpWorkflow",
        argument=CatchUp(),
        summary="Stripe's events whose webhooks never came",
        note="Events of Stripe are read again, should their webhooks be lost.",
        # The cursor says where to go on, so one run is as good as all that were missed.
        catchup=timedelta(hours=1),
        jitter=timedelta(minutes=1),
    ),
    Recurring(
        id="expiry-sweep",
        when=Every(timedelta(minutes=30)),
        workflow="ExpirySweepWorkflow",
        argument=SweepExpired(),
        summary="Access and certificates whose time is over",
        note="Jobs of places and certificates that should have expired and have not are woken.",
        catchup=timedelta(minutes=30),
        jitter=timedelta(minutes=1),
    ),
    Recurring(
        id="stuck-jobs",
        when=Every(timedelta(minutes=15)),
        workflow="StuckJobsWorkflow",
        argument=FindStuckJobs(),
        summary="Jobs that do not get on",
        note="Jobs that are wedged, fail, are overdue or broken are put before a person.",
        catchup=timedelta(minutes=15),
        jitter=timedelta(minutes=1),
    ),
    Recurring(
        id="invoice-reminders",
        # Half an hour after the orders' own jobs: what they have sent by then is not missing.
        when=On(time(9, 30)),
        workflow="InvoiceRemindersWorkflow",
        argument=RemindOfInvoices(),
        summary="Reminders of invoices that did not go out",
        note="Reminders of open invoices that their orders have not sent go out.",
        catchup=_LATE_BY_A_DAY,
        jitter=timedelta(minutes=2),
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="critical-mail",
        when=On(time(7)),
        workflow="CriticalMailWorkflow",
        argument=CheckCriticalMail(),
        summary="Confirmations, receipts and certificates of the week",
        note="Every confirmation, receipt, credit note and certificate of the last 7 days really went out.",
        catchup=_LATE_BY_A_DAY,
        jitter=timedelta(minutes=2),
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="daily-sales",
        when=On(time(6)),
        workflow="ScheduledReportWorkflow",
        argument=MakeReport(report=ExportReport.SALES),
        summary="The sales of yesterday",
        note="The sales report of the day before goes to its recipients.",
        catchup=_LATE_BY_A_DAY,
        jitter=timedelta(minutes=2),
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="weekly-finance",
        when=On(time(6, 30), weekday=_MONDAY),
        workflow="ScheduledReportWorkflow",
        argument=MakeReport(report=ExportReport.FINANCE),
        summary="The finances of last week",
        note="The finance report of the week before goes to its recipients.",
        catchup=timedelta(days=3),
        jitter=timedelta(minutes=2),
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="monthly-statement",
        when=On(time(7), day=1),
        workflow="ScheduledReportWorkflow",
        argument=MakeReport(report=ExportReport.STATEMENT),
        summary="The statement of last month",
        note="The statement of the month before goes to its recipients.",
        catchup=timedelta(days=7),
        jitter=timedelta(minutes=2),
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="document-retention",
        when=On(time(3, 30)),
        workflow="DocumentRetentionWorkflow",
        argument=RetainDocuments(),
        summary="Files whose time is over",
        note="Files of exports, evidence and workbooks are deleted when their time is over.",
        catchup=_LATE_BY_A_DAY,
        jitter=timedelta(minutes=5),
    ),
)
