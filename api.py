"""The HTTP API: the application, its parts and its routes.

`uvicorn --factory api:app_from_environment --no-access-log` runs it; the application writes an access log of its own.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig

from activities.database import Sessions, open_database, sessions_of
from activities.logs import configure_logs, core_logs
from routes import (
    application_documents,
    application_reviews,
    application_steps,
    attendance,
    cart_links,
    cart_report,
    cart_settings,
    carts,
    cascades,
    certificate_batches,
    certificate_corrections,
    certificate_steps,
    certificate_templates,
    certificates,
    checkout_pages,
    checks,
    course_certificates,
    course_changes,
    course_lessons,
    courses,
    custom_fields,
    disputes,
    documentation,
    documents,
    enrollment_changes,
    enrollments,
    export_links,
    exports,
    health,
    job_actions,
    jobs,
    legal_names,
    lessons,
    order_decisions,
    orders,
    plans,
    problems,
    refunds,
    report_recipients,
    reviewers,
    saved_queries,
    subjects,
    subscriptions,
    tasks,
    tutor_applications,
    unsubscribing,
    verification,
    webhooks,
)
from routes.envelope import Envelope
from routes.parts import Connections, Parts
from settings import Settings
from settings import settings as settings_from_environment
from workflows.connection import connect

_LARGER_BODIES = {
    **application_documents.UPLOADS,
    **certificate_corrections.UPLOADS,
    **certificate_templates.UPLOADS,
    **certificate_batches.UPLOADS,
    **verification.UPLOADS,
}


def create_app(settings: Settings, *, temporal: Client | None = None, sessions: Sessions | None = None) -> FastAPI:
    """The application. Connections that are given are used; the others are opened at startup and closed at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.connections = Connections(
                sessions=sessions or await _open_sessions(settings, stack),
                temporal=temporal or await connect(**settings.temporal_connection),
            )
            yield

    app = FastAPI(
        title="Registrar",
        version=version("registrar"),
        summary="The back office of a learning platform as durable workflows",
        description=documentation.DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = Parts.of(settings)
    if temporal is not None and sessions is not None:
        app.state.connections = Connections(sessions=sessions, temporal=temporal)
    problems.install(app)
    documentation.install(app)
    for resource in (
        orders,
        order_decisions,
        documents,
        tasks,
        courses,
        enrollments,
        lessons,
        plans,
        enrollment_changes,
        course_lessons,
        course_changes,
        attendance,
        refunds,
        cascades,
        disputes,
        tutor_applications,
        application_documents,
        application_steps,
        application_reviews,
        reviewers,
        subjects,
        # Before the carts, whose ids its name would be taken for.
        cart_report,
        carts,
        cart_links,
        cart_settings,
        subscriptions,
        unsubscribing,
        certificates,
        certificate_steps,
        certificate_corrections,
        certificate_templates,
        course_certificates,
        certificate_batches,
        legal_names,
        exports,
        export_links,
        custom_fields,
        report_recipients,
        jobs,
        job_actions,
        saved_queries,
        checks,
        webhooks,
        checkout_pages,
        verification,
        health,
    ):
        app.include_router(resource.router)
    app.include_router(certificates.links)
    app.include_router(export_links.links)
    app.add_middleware(Envelope, larger_bodies=_LARGER_BODIES)
    return app


def app_from_environment() -> FastAPI:
    """The application as the environment describes it, for uvicorn."""
    settings = settings_from_environment()
    configure_logs(settings.log_format, settings.log_level)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=core_logs())), error_if_already_set=False)
    return create_app(settings)


async def _open_sessions(settings: Settings, stack: AsyncExitStack) -> Sessions:
    engine = open_database(settings.database_url.get_secret_value(), settings.database_pool_size)
    stack.push_async_callback(engine.dispose)
    return sessions_of(engine)
