"""The worker process: builds the activity objects once, runs the workers, drains on SIGTERM and SIGINT."""

import asyncio
import inspect
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Interceptor, PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from activities.application_reviews import ApplicationReviewActivities
from activities.applications import ApplicationActivities
from activities.carts import CartActivities
from activities.cascades import CascadeActivities
from activities.certificate_batches import CertificateBatchActivities
from activities.certificate_documents import CertificateDocumentActivities
from activities.certificates import CertificateActivities
from activities.course_changes import CourseChangeActivities
from activities.critical_mail import CriticalMailActivities
from activities.database import open_database, open_snapshots, sessions_of
from activities.disputes import DisputeActivities
from activities.document_retention import DocumentRetentionActivities
from activities.documents import DocumentActivities
from activities.drips import DripActivities
from activities.errand import PublicPages
from activities.expiry_sweep import ExpirySweepActivities
from activities.export_parts import ExportPartActivities
from activities.exports import SNAPSHOT_PATIENCE, ExportActivities
from activities.files import FileStore
from activities.findings import FindingActivities
from activities.findings_workbook import FindingsWorkbookActivities
from activities.heartbeat import Heartbeat
from activities.invoice_reminders import InvoiceReminderActivities
from activities.job_actions import JobActionActivities
from activities.logs import configure_logs, core_logs
from activities.mail import MailActivities, SmtpSettings
from activities.orders import OrderActivities
from activities.provisioning import LearningPlatform, ProvisioningActivities
from activities.reconciliation import ReconciliationActivities
from activities.redaction import RedactErrors, kind_and_place
from activities.refund_requests import RefundRequestActivities
from activities.refund_watch import RefundWatchActivities
from activities.refunds import RefundActivities
from activities.reports import ReportActivities
from activities.step_counts import CountSteps
from activities.stripe import StripeActivities, open_stripe
from activities.stripe_catch_up import StripeCatchUpActivities
from activities.stuck_jobs import StuckJobActivities
from activities.tasks import TaskActivities
from activities.tutor_profiles import TutorProfileActivities
from activities.unmatched_payments import UnmatchedPaymentActivities
from rules.stripe_fees import FeeLimit
from settings import Settings
from workflows.cart import CartWorkflow
from workflows.cascade import CascadeWorkflow
from workflows.certificate import CertificateWorkflow
from workflows.certificate_batch import CertificateBatchWorkflow
from workflows.connection import connect
from workflows.course_change import CourseChangeWorkflow
from workflows.critical_mail import CriticalMailWorkflow
from workflows.deployment import DEPLOYMENT
from workflows.dispute import DisputeWorkflow
from workflows.document_copy import DocumentCopyWorkflow
from workflows.document_retention import DocumentRetentionWorkflow
from workflows.drip import DripWorkflow
from workflows.expiry_sweep import ExpirySweepWorkflow
from workflows.export import ExportWorkflow
from workflows.finding import FindingWorkflow
from workflows.invoice_reminders import InvoiceRemindersWorkflow
from workflows.job_action import JobActionWorkflow
from workflows.order import OrderWorkflow
from workflows.order_cancellation import OrderCancellationWorkflow
from workflows.queues import DOCUMENTS_QUEUE, REGISTRAR_QUEUE
from workflows.reassign_reviews import ReassignReviewsWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refund import RefundWorkflow
from workflows.refund_sweep import RefundSweepWorkflow
from workflows.refund_watch import RefundWatchWorkflow
from workflows.scheduled_report import ScheduledReportWorkflow
from workflows.stripe_catch_up import StripeCatchUpWorkflow
from workflows.stuck_jobs import StuckJobsWorkflow
from workflows.tutor_application import TutorApplicationWorkflow
from workflows.unmatched_payment import UnmatchedPaymentWorkflow
from workflows.wake_drips import WakeDripsWorkflow

_log = logging.getLogger(__name__)

WORKFLOWS = (
    OrderWorkflow,
    OrderCancellationWorkflow,
    RefundWorkflow,
    RefundWatchWorkflow,
    RefundSweepWorkflow,
    CascadeWorkflow,
    UnmatchedPaymentWorkflow,
    DisputeWorkflow,
    DocumentCopyWorkflow,
    TutorApplicationWorkflow,
    ReassignReviewsWorkflow,
    CartWorkflow,
    CertificateWorkflow,
    CertificateBatchWorkflow,
    DripWorkflow,
    CourseChangeWorkflow,
    WakeDripsWorkflow,
    ExpirySweepWorkflow,
    InvoiceRemindersWorkflow,
    CriticalMailWorkflow,
    DocumentRetentionWorkflow,
    FindingWorkflow,
    JobActionWorkflow,
    StuckJobsWorkflow,
    ScheduledReportWorkflow,
    ExportWorkflow,
    ReconciliationWorkflow,
    StripeCatchUpWorkflow,
)


def sandboxed_runner() -> SandboxedWorkflowRunner:
    """Workflow code runs sandboxed; a module that slips in without being passed through on purpose is an error."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_import_notification_policy(
            SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
        )
    )


def steps_of(*parts: object) -> list[Callable[..., object]]:
    """Every step that these objects have, so that none is forgotten here."""
    methods = (method for part in parts for _, method in inspect.getmembers(part, inspect.ismethod))
    return [method for method in methods if activity._Definition.from_callable(method) is not None]


def build_workers(
    client: Client,
    settings: Settings,
    engine: AsyncEngine,
    executor: Executor,
    interceptors: Sequence[Interceptor] = (),
) -> tuple[Worker, Worker]:
    """The two workers of a process: one for everything, one for documents. They share pools and clients."""
    sessions = sessions_of(engine)
    files = FileStore(settings.files_url)
    platform = _learning_platform(settings)
    orders = OrderActivities(sessions, is_provisioned_elsewhere=platform is not None)
    client_of_stripe = open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    stripe = StripeActivities(client_of_stripe, sessions, settings.public_url, settings.stripe_payment_method_types)
    refunds = RefundActivities(client_of_stripe, sessions)
    refund_requests = RefundRequestActivities(sessions)
    refund_watch = RefundWatchActivities(client_of_stripe, sessions)
    cascades = CascadeActivities(sessions)
    carts = CartActivities(sessions, has_links=settings.link_secret is not None, clock_speed=settings.cart_clock_speed)
    drips = DripActivities(sessions)
    course_changes = CourseChangeActivities(sessions)
    unmatched = UnmatchedPaymentActivities(client_of_stripe, sessions)
    disputes = DisputeActivities(client_of_stripe, sessions)
    provisioning = ProvisioningActivities(sessions, platform)
    applications = ApplicationActivities(sessions, files)
    reviews = ApplicationReviewActivities(sessions)
    tutors = TutorProfileActivities(sessions, platform)
    tasks = TaskActivities(sessions)
    findings = FindingActivities(sessions)
    expiry = ExpirySweepActivities(sessions)
    reminders = InvoiceReminderActivities(sessions)
    critical_mail = CriticalMailActivities(sessions)
    retention = DocumentRetentionActivities(sessions, files)
    job_actions = JobActionActivities(sessions)
    stuck_jobs = StuckJobActivities(sessions)
    findings_workbook = FindingsWorkbookActivities(sessions, files, executor)
    reconciliation = ReconciliationActivities(
        client_of_stripe,
        sessions,
        FeeLimit(settings.stripe_fee_percent_max, settings.stripe_fee_fixed_max),
        is_shared=settings.stripe_account_is_shared,
    )
    catch_up = StripeCatchUpActivities(
        client_of_stripe, sessions, is_live=settings.is_live, is_shared=settings.stripe_account_is_shared
    )
    mail = MailActivities(
        sessions,
        files,
        SmtpSettings.from_url(settings.smtp_url.get_secret_value(), settings.mail_from, settings.mail_domain),
        settings.order_page_url,
        settings.job_page_url,
        settings.application_page_url,
        settings.lesson_page_url,
        public_pages=PublicPages(
            settings.public_url, settings.link_secret.get_secret_value() if settings.link_secret else None
        ),
    )
    documents = DocumentActivities(sessions, files, executor)
    reports = ReportActivities(sessions, files, executor)
    certificates = CertificateActivities(sessions)
    certificate_documents = CertificateDocumentActivities(sessions, files, executor, settings.public_url)
    certificate_batches = CertificateBatchActivities(sessions, files)
    exports = ExportActivities(sessions, sessions_of(open_snapshots(engine, SNAPSHOT_PATIENCE)), files)
    export_parts = ExportPartActivities(sessions, files, executor)
    grace = timedelta(seconds=settings.worker_graceful_shutdown_seconds)
    deployment = _deployment(settings)
    # The redaction is innermost: whatever another interceptor sees is already free of personal data.
    every_interceptor = (*interceptors, CountSteps(), Heartbeat(), RedactErrors())
    return (
        Worker(
            client,
            task_queue=REGISTRAR_QUEUE,
            workflows=WORKFLOWS,
            activities=[
                *steps_of(
                    orders,
                    stripe,
                    refunds,
                    refund_requests,
                    refund_watch,
                    cascades,
                    carts,
                    certificates,
                    certificate_batches,
                    drips,
                    course_changes,
                    unmatched,
                    disputes,
                    provisioning,
                    applications,
                    reviews,
                    tutors,
                    tasks,
                    findings,
                    expiry,
                    reminders,
                    critical_mail,
                    retention,
                    job_actions,
                    stuck_jobs,
                    exports,
                    reconciliation,
                    catch_up,
                    mail,
                ),
                reports.plan_report,
                reports.report_recipients,
            ],
            workflow_runner=sandboxed_runner(),
            interceptors=every_interceptor,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            graceful_shutdown_timeout=grace,
            deployment_config=deployment,
            on_fatal_error=_log_fatal,
        ),
        Worker(
            client,
            task_queue=DOCUMENTS_QUEUE,
            activities=[
                *steps_of(documents, certificate_documents, export_parts, findings_workbook),
                reports.render_report,
            ],
            interceptors=every_interceptor,
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            graceful_shutdown_timeout=grace,
            deployment_config=deployment,
            on_fatal_error=_log_fatal,
        ),
    )


@asynccontextmanager
async def running_workers(
    client: Client, settings: Settings, interceptors: Sequence[Interceptor] = ()
) -> AsyncIterator[None]:
    """Both workers polling. Leaving drains them (up to the grace), then closes the pools they used."""
    async with AsyncExitStack() as stack:
        engine = open_database(settings.database_url.get_secret_value(), settings.database_pool_size)
        stack.push_async_callback(engine.dispose)
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=4, thread_name_prefix="documents"))
        for worker in build_workers(client, settings, engine, executor, interceptors):
            await stack.enter_async_context(worker)
        yield


async def run_worker(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then finish what is under way. Keep the orchestrator's grace above ours."""
    configure_logs(settings.log_format, settings.log_level)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.cart_clock_speed != 1:
        _log.warning("carts grow old %s times as fast: this is a demonstration", settings.cart_clock_speed)
    client = await connect(**settings.temporal_connection, runtime=_runtime(settings))
    async with running_workers(client, settings):
        if settings.link_secret is None:
            _log.warning("LINK_SECRET is not set: no mails about carts are sent")
        _log.info("worker polls %s and %s on %s", REGISTRAR_QUEUE, DOCUMENTS_QUEUE, settings.temporal_address)
        await stop.wait()
        _log.info("worker drains, for at most %s s", settings.worker_graceful_shutdown_seconds)
    _log.info("worker stopped")


def _runtime(settings: Settings) -> Runtime:
    address = settings.worker_metrics_address
    metrics = None if address is None else PrometheusConfig(bind_address=address, durations_as_seconds=True)
    return Runtime(telemetry=TelemetryConfig(logging=core_logs(), metrics=metrics))


def _learning_platform(settings: Settings) -> LearningPlatform | None:
    if settings.provisioning_url is None or settings.provisioning_secret is None:
        return None
    return LearningPlatform(settings.provisioning_url, settings.provisioning_secret.get_secret_value())


def _deployment(settings: Settings) -> WorkerDeploymentConfig:
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=settings.worker_build_id),
        use_worker_versioning=True,
    )


async def _log_fatal(error: BaseException) -> None:
    _log.critical("worker cannot go on: %s", kind_and_place(error))
