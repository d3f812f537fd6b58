"""Exports, checks of the record against Stripe, mails and jobs, and what operators do to many jobs

Revision ID: 0010
Revises: 0009
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

_TEMPLATES = (
    "order_confirmation",
    "order_approved",
    "order_denied",
    "order_cancelled",
    "approval_requested",
    "payment_action_required",
    "payment_processing",
    "payment_declined",
    "invoice",
    "invoice_reminder",
    "refund",
    "refund_rejected",
    "refund_action_required",
    "refund_returned",
    "refund_notice",
    "place_ended",
    "task_reminder",
    "document_copy",
    "application_draft_reminder",
    "application_received",
    "application_info_requested",
    "application_info_reminder",
    "application_late",
    "application_approved",
    "application_rejected",
    "application_closed",
    "application_assigned",
    "cart_reminder",
    "lessons_released",
    "access_ending",
    "access_ended",
    "certificate_issued",
    "certificate_name_needed",
    "certificate_expiring",
    "certificate_expired",
    "certificate_revoked",
    "certificate_correction_rejected",
)
_NEW_TEMPLATES = ("export_ready",)
_TASKS = (
    "amount_differs",
    "double_payment",
    "unknown_payment",
    "pay_back",
    "provisioning_failed",
    "refund_failed",
    "refund_review",
    "refund_delayed",
    "alternative_payout",
    "dispute",
    "tutor_review",
    "tutor_second_opinion",
    "tutor_provisioning_failed",
    "completion_judgement",
    "certificate_name_missing",
    "name_correction",
)
_NEW_TASKS = ("reconciliation", "critical_mail", "stuck_job")


# By what reconciliation and the catch-up look for a day among millions of rows.
_SEARCHED = (
    ("ix_orders_completed_at", "orders", "completed_at", "completed_at IS NOT NULL"),
    ("ix_payments_succeeded_at", "payments", "succeeded_at", "succeeded_at IS NOT NULL"),
    ("ix_refunds_created_at", "refunds", "created_at", None),
    ("ix_refunds_updated_at", "refunds", "updated_at", None),
    ("ix_human_tasks_workflow_id", "human_tasks", "workflow_id", None),
    ("ix_mails_created_at", "mails", "created_at", None),
    ("ix_mails_workflow_id", "mails", "workflow_id", None),
    ("ix_orders_created_at", "orders", "created_at", None),
    ("ix_stripe_events_received", "stripe_events", "stripe_created_at", "status = 'received'"),
)


def upgrade() -> None:
    op.create_table(
        "check_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("looked_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("workbook_sha256", sa.String(length=64), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'running') = (ended_at IS NULL)", name=op.f("ck_check_runs_ended_has_time")),
        sa.CheckConstraint(
            "kind IN ('reconciliation', 'critical_mail', 'stuck_jobs')", name=op.f("ck_check_runs_kind_known")
        ),
        sa.CheckConstraint("status IN ('running', 'done')", name=op.f("ck_check_runs_status_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_runs")),
    )
    op.create_index("ix_check_runs_kind", "check_runs", ["kind", "created_at"], unique=False)
    op.create_table(
        "custom_fields",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reports", sa.ARRAY(sa.String(length=32)), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,39}$'", name=op.f("ck_custom_fields_key_is_word")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_custom_fields")),
    )
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", sa.String(length=32), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_reason", sa.String(length=64), nullable=True),
        sa.Column("filters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("asked_sha256", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("columns", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("snapshot_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("rows_written", sa.Integer(), nullable=False),
        sa.Column("totals", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("file_sha256", sa.String(length=64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'running') = (ended_at IS NULL)", name=op.f("ck_exports_ended_has_time")),
        sa.CheckConstraint("format IN ('xlsx', 'csv', 'pdf')", name=op.f("ck_exports_format_known")),
        sa.CheckConstraint(
            "report IN ('orders', 'payments', 'enrollments', 'users', 'tutor_applications', 'carts', 'certificates', 'mails', 'audit', 'sales', 'finance', 'statement')",
            name=op.f("ck_exports_report_known"),
        ),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'failed', 'canceled', 'expired')", name=op.f("ck_exports_status_known")
        ),
        sa.CheckConstraint("num_nonnulls(file_sha256, size, expires_at) IN (0, 3)", name=op.f("ck_exports_file_whole")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(
        "ix_exports_expires_at", "exports", ["expires_at"], unique=False, postgresql_where=sa.text("status = 'done'")
    )
    op.create_index("ix_exports_requested_by", "exports", ["requested_by", "created_at"], unique=False)
    op.create_table(
        "findings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_by", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("stripe_id", sa.String(length=255), nullable=True),
        sa.Column("job_id", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("expected_amount", sa.BigInteger(), nullable=True),
        sa.Column("found_amount", sa.BigInteger(), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=80), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'open') = (settled_at IS NULL)", name=op.f("ck_findings_settled_has_time")),
        sa.CheckConstraint(
            "found_by IN ('reconciliation', 'critical_mail', 'stuck_jobs')", name=op.f("ck_findings_found_by_known")
        ),
        sa.CheckConstraint(
            "kind IN ('paid_not_fulfilled', 'fulfilled_not_paid', 'amount_mismatch', 'currency_mismatch', 'double_payment', 'unknown_payment', 'orphan_refund', 'refund_mismatch', 'refund_not_revoked', 'unknown_dispute', 'fee_mismatch', 'mail_missing', 'mail_not_sent', 'paper_missing', 'job_wedged', 'job_failing', 'job_overdue', 'job_broken')",
            name=op.f("ck_findings_kind_known"),
        ),
        sa.CheckConstraint("status IN ('open', 'resolved', 'accepted')", name=op.f("ck_findings_status_known")),
        sa.CheckConstraint("times >= 1", name=op.f("ck_findings_times_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    op.create_index(
        "ix_findings_open", "findings", ["found_by", "kind"], unique=False, postgresql_where=sa.text("status = 'open'")
    )
    op.create_index("ix_findings_subject", "findings", ["subject_kind", "subject_id"], unique=False)
    op.create_table(
        "job_actions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("query", sa.String(length=20_000), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("asked_sha256", sa.String(length=64), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'running') = (ended_at IS NULL)", name=op.f("ck_job_actions_ended_has_time")),
        sa.CheckConstraint("action IN ('retry', 'cancel', 'skip')", name=op.f("ck_job_actions_action_known")),
        sa.CheckConstraint("status IN ('running', 'done', 'stopped')", name=op.f("ck_job_actions_status_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_actions")),
    )
    op.create_table(
        "stripe_event_cursors",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_event_id", sa.String(length=255), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_stripe_event_cursors")),
    )
    op.create_table(
        "check_run_findings",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("is_new", sa.Boolean(), nullable=False),
        sa.Column("is_healing", sa.Boolean(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_check_run_findings_finding_id")),
        sa.ForeignKeyConstraint(["run_id"], ["check_runs.id"], name=op.f("fk_check_run_findings_run_id")),
        sa.PrimaryKeyConstraint("run_id", "finding_id", name=op.f("pk_check_run_findings")),
    )
    op.create_index(op.f("ix_check_run_findings_finding_id"), "check_run_findings", ["finding_id"], unique=False)
    op.create_table(
        "export_chunks",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_chunks_export_id")),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_export_chunks")),
    )
    op.create_table(
        "export_parts",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_parts_export_id")),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_export_parts")),
    )
    op.create_table(
        "job_action_lines",
        sa.Column("job_action_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('done', 'nothing', 'refused', 'gone')", name=op.f("ck_job_action_lines_outcome_known")
        ),
        sa.ForeignKeyConstraint(["job_action_id"], ["job_actions.id"], name=op.f("fk_job_action_lines_job_action_id")),
        sa.PrimaryKeyConstraint("job_action_id", "position", name=op.f("pk_job_action_lines")),
    )
    op.create_table(
        "report_recipients",
        sa.Column("report", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "report IN ('orders', 'payments', 'enrollments', 'users', 'tutor_applications', 'carts', 'certificates', 'mails', 'audit', 'sales', 'finance', 'statement')",
            name=op.f("ck_report_recipients_report_known"),
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_report_recipients_person_id")),
        sa.PrimaryKeyConstraint("report", "person_id", name=op.f("pk_report_recipients")),
    )
    op.create_table(
        "balance_transactions",
        sa.Column("stripe_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("source_id", sa.String(length=255), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payout_id", sa.String(length=255), nullable=True),
        sa.Column("available_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stripe_created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_balance_transactions_order_id")),
        sa.PrimaryKeyConstraint("stripe_id", name=op.f("pk_balance_transactions")),
    )
    op.create_index("ix_balance_transactions_created", "balance_transactions", ["stripe_created_at"], unique=False)
    op.create_index(op.f("ix_balance_transactions_order_id"), "balance_transactions", ["order_id"], unique=False)
    op.create_index(op.f("ix_balance_transactions_payout_id"), "balance_transactions", ["payout_id"], unique=False)
    op.create_index(op.f("ix_balance_transactions_source_id"), "balance_transactions", ["source_id"], unique=False)
    op.create_index(
        "ix_enrollments_access_ends_at",
        "enrollments",
        ["access_ends_at", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('active', 'suspended')"),
    )
    for name, table, column, condition in _SEARCHED:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, [column], unique=False, postgresql_where=where)
    _listed("mails", "template", (*_TEMPLATES, *_NEW_TEMPLATES))
    _listed("human_tasks", "kind", (*_TASKS, *_NEW_TASKS))


def downgrade() -> None:
    op.execute(f"DELETE FROM mails WHERE template IN ({_quoted(_NEW_TEMPLATES)})")  # noqa: S608 - words of ours
    op.execute(f"DELETE FROM human_tasks WHERE kind IN ({_quoted(_NEW_TASKS)})")  # noqa: S608
    _listed("human_tasks", "kind", _TASKS)
    _listed("mails", "template", _TEMPLATES)
    op.drop_index("ix_enrollments_access_ends_at", table_name="enrollments")
    for name, table, _column, _condition in reversed(_SEARCHED):
        op.drop_index(name, table_name=table)
    op.drop_index(op.f("ix_balance_transactions_source_id"), table_name="balance_transactions")
    op.drop_index(op.f("ix_balance_transactions_payout_id"), table_name="balance_transactions")
    op.drop_index(op.f("ix_balance_transactions_order_id"), table_name="balance_transactions")
    op.drop_index("ix_balance_transactions_created", table_name="balance_transactions")
    op.drop_table("balance_transactions")
    op.drop_table("report_recipients")
    op.drop_table("job_action_lines")
    op.drop_table("export_parts")
    op.drop_table("export_chunks")
    op.drop_index(op.f("ix_check_run_findings_finding_id"), table_name="check_run_findings")
    op.drop_table("check_run_findings")
    op.drop_table("stripe_event_cursors")
    op.drop_table("job_actions")
    op.drop_index("ix_findings_subject", table_name="findings")
    op.drop_index("ix_findings_open", table_name="findings", postgresql_where=sa.text("status = 'open'"))
    op.drop_table("findings")
    op.drop_index("ix_exports_requested_by", table_name="exports")
    op.drop_index("ix_exports_expires_at", table_name="exports", postgresql_where=sa.text("status = 'done'"))
    op.drop_table("exports")
    op.drop_table("custom_fields")
    op.drop_index("ix_check_runs_kind", table_name="check_runs")
    op.drop_table("check_runs")


def _listed(table: str, column: str, words: Sequence[str]) -> None:
    """Let the column hold these words."""
    name = op.f(f"ck_{table}_{column}_known")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({_quoted(words)})")


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
