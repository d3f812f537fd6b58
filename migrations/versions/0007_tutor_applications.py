"""Applications of tutors, their reviewers, and the profiles and roles that come of them

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

_TASK_KINDS = (
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
)
_NEW_TASK_KINDS = ("tutor_review", "tutor_second_opinion", "tutor_provisioning_failed")
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
)
_NEW_TEMPLATES = (
    "application_draft_reminder",
    "application_received",
    "application_info_requested",
    "application_info_reminder",
    "application_late",
    "application_approved",
    "application_rejected",
    "application_closed",
    "application_assigned",
)
_QUEUES = ("finance", "support")


def upgrade() -> None:
    op.create_table(
        "subjects",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("requires_certification", sa.Boolean(), nullable=False),
        sa.Column("requires_video", sa.Boolean(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_subjects")),
    )
    op.create_table(
        "reviewers",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("away_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_assigned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_reviewers_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_reviewers")),
    )
    op.create_table(
        "tutor_applications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applicant_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("certifications", sa.String(length=4000), nullable=True),
        sa.Column("qualifications", sa.String(length=4000), nullable=True),
        sa.Column("bio", sa.String(length=4000), nullable=True),
        sa.Column("subjects", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("reviewer_id", sa.Uuid(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_used_seconds", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("info_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reapply_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erase_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'info_requested') = (info_due_at IS NOT NULL)",
            name=op.f("ck_tutor_applications_info_has_due_date"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'submitted', 'in_review', 'info_requested', 'inactive', 'approved', 'rejected_soft', 'rejected_hard', 'withdrawn', 'expired')",
            name=op.f("ck_tutor_applications_status_known"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'withdrawn', 'expired') OR submitted_at IS NOT NULL",
            name=op.f("ck_tutor_applications_sent_has_time"),
        ),
        sa.CheckConstraint("clock_used_seconds >= 0", name=op.f("ck_tutor_applications_clock_not_negative")),
        sa.CheckConstraint("rounds BETWEEN 0 AND 3", name=op.f("ck_tutor_applications_rounds_known")),
        sa.ForeignKeyConstraint(["applicant_id"], ["people.id"], name=op.f("fk_tutor_applications_applicant_id")),
        sa.ForeignKeyConstraint(["reviewer_id"], ["people.id"], name=op.f("fk_tutor_applications_reviewer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tutor_applications")),
    )
    op.create_index(
        "ix_tutor_applications_applicant_id", "tutor_applications", ["applicant_id", "created_at"], unique=False
    )
    op.create_index("ix_tutor_applications_status", "tutor_applications", ["status", "created_at"], unique=False)
    op.create_index(
        "uq_tutor_applications_applicant_live",
        "tutor_applications",
        ["applicant_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('draft', 'submitted', 'in_review', 'info_requested', 'inactive')"),
    )
    op.create_table(
        "application_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("reasons", sa.ARRAY(sa.String(length=32)), nullable=False),
        sa.Column("decided_by", sa.String(length=80), nullable=False),
        sa.Column("seconds", sa.Uuid(), nullable=True),
        sa.Column("is_override", sa.Boolean(), nullable=False),
        sa.Column("documents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["tutor_applications.id"], name=op.f("fk_application_decisions_application_id")
        ),
        sa.ForeignKeyConstraint(
            ["seconds"], ["application_decisions.id"], name=op.f("fk_application_decisions_seconds")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_decisions")),
    )
    op.create_index(
        "ix_application_decisions_application_id",
        "application_decisions",
        ["application_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "application_documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=True),
        sa.Column("first_version_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("file_key", sa.String(length=255), nullable=True),
        sa.Column("file_name", sa.String(length=200), nullable=True),
        sa.Column("media_type", sa.String(length=64), nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("link", sa.String(length=500), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("verdict_reason", sa.String(length=32), nullable=True),
        sa.Column("judged_by", sa.String(length=80), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'video') = (media_type IS NULL)", name=op.f("ck_application_documents_file_has_type")
        ),
        sa.CheckConstraint(
            "kind IN ('certification', 'identity', 'video')", name=op.f("ck_application_documents_kind_known")
        ),
        sa.CheckConstraint(
            "verdict IS NULL OR verdict IN ('accepted', 'rejected')",
            name=op.f("ck_application_documents_verdict_known"),
        ),
        sa.CheckConstraint(
            "(verdict IS NULL) = (judged_at IS NULL)", name=op.f("ck_application_documents_verdict_has_time")
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["tutor_applications.id"], name=op.f("fk_application_documents_application_id")
        ),
        sa.ForeignKeyConstraint(["subject"], ["subjects.code"], name=op.f("fk_application_documents_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_documents")),
        sa.UniqueConstraint("first_version_id", "version", name="uq_application_documents_version"),
    )
    op.create_index(
        "ix_application_documents_application_id",
        "application_documents",
        ["application_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "uq_application_documents_current",
        "application_documents",
        ["first_version_id"],
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "role_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("granted_by", sa.String(length=80), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('student', 'tutor', 'staff', 'admin', 'service')", name=op.f("ck_role_grants_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["tutor_applications.id"], name=op.f("fk_role_grants_application_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_role_grants_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grants")),
    )
    op.create_index(
        "uq_role_grants_person_role_live",
        "role_grants",
        ["person_id", "role"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "tutor_profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("bio", sa.String(length=4000), nullable=False),
        sa.Column("subjects", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("experience", sa.String(length=4000), nullable=False),
        sa.Column("certifications", sa.String(length=4000), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'withdrawn')", name=op.f("ck_tutor_profiles_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["tutor_applications.id"], name=op.f("fk_tutor_profiles_application_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_tutor_profiles_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tutor_profiles")),
        sa.UniqueConstraint("person_id", name=op.f("uq_tutor_profiles_person_id")),
    )
    _listed("human_tasks", "kind", (*_TASK_KINDS, *_NEW_TASK_KINDS))
    _listed("human_tasks", "queue", (*_QUEUES, "review"))
    _listed("task_contacts", "queue", (*_QUEUES, "review"))
    _listed("mails", "template", (*_TEMPLATES, *_NEW_TEMPLATES))


def downgrade() -> None:
    op.execute("DELETE FROM human_tasks WHERE queue = 'review' OR kind = 'tutor_provisioning_failed'")
    op.execute("DELETE FROM task_contacts WHERE queue = 'review'")
    op.execute("DELETE FROM mails WHERE template LIKE 'application%'")
    _listed("human_tasks", "kind", _TASK_KINDS)
    _listed("human_tasks", "queue", _QUEUES)
    _listed("task_contacts", "queue", _QUEUES)
    _listed("mails", "template", _TEMPLATES)
    op.drop_table("tutor_profiles")
    op.drop_index(
        "uq_role_grants_person_role_live", table_name="role_grants", postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.drop_table("role_grants")
    op.drop_index(
        "uq_application_documents_current",
        table_name="application_documents",
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.drop_index("ix_application_documents_application_id", table_name="application_documents")
    op.drop_table("application_documents")
    op.drop_index("ix_application_decisions_application_id", table_name="application_decisions")
    op.drop_table("application_decisions")
    op.drop_index(
        "uq_tutor_applications_applicant_live",
        table_name="tutor_applications",
        postgresql_where=sa.text("status IN ('draft', 'submitted', 'in_review', 'info_requested', 'inactive')"),
    )
    op.drop_index("ix_tutor_applications_status", table_name="tutor_applications")
    op.drop_index("ix_tutor_applications_applicant_id", table_name="tutor_applications")
    op.drop_table("tutor_applications")
    op.drop_table("reviewers")
    op.drop_table("subjects")


def _listed(table: str, column: str, words: Sequence[str]) -> None:
    """Let the column hold these words."""
    name = op.f(f"ck_{table}_{column}_known")
    listed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({listed})")
