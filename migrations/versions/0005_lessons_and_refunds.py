"""what became of lessons, and refunds that are asked for

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_KINDS = ("amount_differs", "double_payment", "unknown_payment", "pay_back", "provisioning_failed", "refund_failed")
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
    "document_copy",
)


def _listed(table: str, column: str, words: tuple[str, ...]) -> None:
    """Let the column hold these words and no others."""
    name = op.f(f"ck_{table}_{column}_known")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({', '.join(repr(word) for word in words)})")


def upgrade() -> None:
    op.create_table(
        "lesson_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=True),
        sa.Column("slot_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('completed', 'student_no_show', 'tutor_no_show', 'canceled')",
            name=op.f("ck_lesson_records_outcome_known"),
        ),
        sa.CheckConstraint("(lesson_id IS NULL) <> (slot_id IS NULL)", name=op.f("ck_lesson_records_lesson_or_slot")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_lesson_records_enrollment_id")),
        sa.ForeignKeyConstraint(["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_records_lesson_id")),
        sa.ForeignKeyConstraint(["slot_id"], ["lesson_slots.id"], name=op.f("fk_lesson_records_slot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_records")),
        sa.UniqueConstraint("enrollment_id", "lesson_id", name=op.f("uq_lesson_records_enrollment_id_lesson_id")),
        sa.UniqueConstraint("enrollment_id", "slot_id", name=op.f("uq_lesson_records_enrollment_id_slot_id")),
    )
    op.create_table(
        "refund_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("grounds", sa.ARRAY(sa.String(length=32)), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("decided_by", sa.String(length=80), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'in_review') = (decided_at IS NULL)", name=op.f("ck_refund_requests_decided_has_time")
        ),
        sa.CheckConstraint(
            "cause IN ('changed_mind', 'not_as_expected', 'tutor_no_show', 'no_time', 'illness', 'other')",
            name=op.f("ck_refund_requests_cause_known"),
        ),
        sa.CheckConstraint(
            "status IN ('in_review', 'approved', 'rejected')", name=op.f("ck_refund_requests_status_known")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_requests_amount_positive")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_refund_requests_enrollment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_requests")),
    )
    op.create_index(op.f("ix_refund_requests_enrollment_id"), "refund_requests", ["enrollment_id"], unique=False)
    op.create_index(
        "uq_refund_requests_enrollment_live",
        "refund_requests",
        ["enrollment_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('in_review', 'approved')"),
    )
    op.add_column("academies", sa.Column("automatic_refund_amount", sa.BigInteger(), nullable=True))
    op.add_column("academies", sa.Column("automatic_refund_currency", sa.String(length=3), nullable=True))
    op.create_check_constraint(
        op.f("ck_academies_refund_limit_is_money"),
        "academies",
        "(automatic_refund_amount IS NULL) = (automatic_refund_currency IS NULL)",
    )
    op.create_index(op.f("ix_enrollments_student_id"), "enrollments", ["student_id"], unique=False)
    _listed("human_tasks", "kind", (*_KINDS, "refund_review"))
    _listed("mails", "template", (*_TEMPLATES, "refund_rejected"))


def downgrade() -> None:
    op.execute("DELETE FROM human_tasks WHERE kind = 'refund_review'")
    op.execute("DELETE FROM mails WHERE template = 'refund_rejected'")
    _listed("human_tasks", "kind", _KINDS)
    _listed("mails", "template", _TEMPLATES)
    op.drop_index(op.f("ix_enrollments_student_id"), table_name="enrollments")
    op.drop_constraint(op.f("ck_academies_refund_limit_is_money"), "academies", type_="check")
    op.drop_column("academies", "automatic_refund_currency")
    op.drop_column("academies", "automatic_refund_amount")
    op.drop_index(
        "uq_refund_requests_enrollment_live",
        table_name="refund_requests",
        postgresql_where=sa.text("status IN ('in_review', 'approved')"),
    )
    op.drop_index(op.f("ix_refund_requests_enrollment_id"), table_name="refund_requests")
    op.drop_table("refund_requests")
    op.drop_table("lesson_records")
