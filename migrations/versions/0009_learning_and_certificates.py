"""Lessons open over time, what is learned, and certificates of it

Revision ID: 0009
Revises: 0008
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

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
)
_NEW_TEMPLATES = (
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
)
_NEW_TASKS = ("completion_judgement", "certificate_name_missing", "name_correction")

_CHECKS = (
    ("academies", "access_warnings_few", "cardinality(access_warning_days) <= 5"),
    ("certificates", "origin_known", "origin IN ('completion', 'exception', 'renewal', 'correction')"),
    (
        "certificates",
        "revocation_reason_known",
        "revocation_reason IN ('refunded', 'issued_in_error', 'misconduct', 'holders_wish', 'other')",
    ),
    (
        "certificates",
        "issued_whole",
        "num_nonnulls(template_id, template_version, number, code, facts, origin) IN (0, 6)",
    ),
    ("certificates", "revoked_has_time", "(status = 'revoked') = (revoked_at IS NOT NULL)"),
    ("certificates", "grace_after_end", "renewable_until >= expires_at"),
    (
        "courses",
        "access_rule_known",
        "access_rule IN ('unlimited', 'until_date', 'days_after_enrollment', 'days_after_start')",
    ),
    ("courses", "completion_rule_known", "completion_rule IN ('na', 'complete_all', 'pass_all', 'judged')"),
    ("courses", "release_mails_known", "release_mails IN ('each', 'daily', 'none')"),
    ("courses", "access_days_positive", "access_days > 0"),
    (
        "courses",
        "access_whole",
        "(access_rule IN ('days_after_enrollment', 'days_after_start')) = (access_days IS NOT NULL) AND (access_rule = 'until_date') = (access_until IS NOT NULL)",
    ),
    ("courses", "credits_not_negative", "credits >= 0"),
    ("enrollments", "judgement_known", "judgement IN ('passed', 'failed')"),
    ("lesson_records", "attendance_known", "attendance IN ('attended', 'late', 'absent', 'excused', 'tutor_no_show')"),
    ("lesson_records", "lesson_slot_or_meeting", "num_nonnulls(lesson_id, slot_id, meeting_id) = 1"),
    ("lessons", "grade_rule_known", "grade_rule IN ('highest', 'average', 'first', 'last')"),
    ("lessons", "attempts_not_negative", "max_attempts >= 0"),
    ("lessons", "marks_whole", "(passing_marks IS NULL) = (total_marks IS NULL)"),
    ("lessons", "marks_known", "passing_marks >= 0 AND passing_marks <= total_marks AND total_marks > 0"),
)


def upgrade() -> None:
    op.create_table(
        "certificate_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_certificate_templates_version_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_templates")),
        sa.UniqueConstraint("name", name=op.f("uq_certificate_templates_name")),
    )
    op.create_table(
        "certificate_template_versions",
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("canvas", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_id"], ["certificate_templates.id"], name=op.f("fk_certificate_template_versions_template_id")
        ),
        sa.PrimaryKeyConstraint("template_id", "version", name=op.f("pk_certificate_template_versions")),
    )
    op.create_table(
        "person_fields",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("key ~ '^[a-z][a-z0-9_]{0,39}$'", name=op.f("ck_person_fields_key_is_word")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_person_fields_person_id")),
        sa.PrimaryKeyConstraint("person_id", "key", name=op.f("pk_person_fields")),
    )
    op.create_table(
        "certificate_batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("asked_sha256", sa.String(length=64), nullable=False),
        sa.Column("workbook_sha256", sa.String(length=64), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'running') = (ended_at IS NULL)", name=op.f("ck_certificate_batches_ended_has_time")
        ),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'canceled')", name=op.f("ck_certificate_batches_status_known")
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_certificate_batches_course_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_batches")),
    )
    op.create_index(op.f("ix_certificate_batches_course_id"), "certificate_batches", ["course_id"], unique=False)
    op.create_table(
        "course_certificates",
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("valid_days", sa.Integer(), nullable=True),
        sa.Column("grace_days", sa.Integer(), nullable=False),
        sa.Column("series", sa.String(length=8), nullable=False),
        sa.CheckConstraint("series ~ '^[A-Z][A-Z0-9]{0,7}$'", name=op.f("ck_course_certificates_series_short")),
        sa.CheckConstraint(
            "grace_days >= 0 AND (grace_days = 0 OR valid_days IS NOT NULL)",
            name=op.f("ck_course_certificates_grace_has_end"),
        ),
        sa.CheckConstraint("grace_days <= 3650", name=op.f("ck_course_certificates_grace_known")),
        sa.CheckConstraint(
            "valid_days > 0 AND valid_days <= 36500", name=op.f("ck_course_certificates_validity_known")
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_course_certificates_course_id")),
        sa.ForeignKeyConstraint(
            ["template_id"], ["certificate_templates.id"], name=op.f("fk_course_certificates_template_id")
        ),
        sa.PrimaryKeyConstraint("course_id", "template_id", name=op.f("pk_course_certificates")),
    )
    op.create_table(
        "course_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("change", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("enrollments", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("last_id", sa.Uuid(), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'running') = (ended_at IS NULL)", name=op.f("ck_course_changes_ended_has_time")),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'stopped', 'refused')", name=op.f("ck_course_changes_status_known")
        ),
        sa.CheckConstraint(
            "enrollments >= 0 AND done >= 0 AND refused >= 0", name=op.f("ck_course_changes_counts_not_negative")
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_course_changes_course_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_course_changes")),
    )
    op.create_index(op.f("ix_course_changes_course_id"), "course_changes", ["course_id"], unique=False)
    op.create_table(
        "course_modules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_course_modules_course_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_course_modules")),
        sa.UniqueConstraint("course_id", "position", name=op.f("uq_course_modules_course_id_position")),
    )
    op.create_table(
        "certificate_batch_lines",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("ground", sa.String(length=32), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('issued', 'existing', 'waiting', 'not_eligible')",
            name=op.f("ck_certificate_batch_lines_outcome_known"),
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["certificate_batches.id"], name=op.f("fk_certificate_batch_lines_batch_id")
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollments.id"], name=op.f("fk_certificate_batch_lines_enrollment_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "enrollment_id", name=op.f("pk_certificate_batch_lines")),
        sa.UniqueConstraint("batch_id", "position", name=op.f("uq_certificate_batch_lines_batch_id_position")),
    )
    op.create_table(
        "enrollment_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("change", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollments.id"], name=op.f("fk_enrollment_changes_enrollment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollment_changes")),
    )
    op.create_index(
        "ix_enrollment_changes_enrollment_id", "enrollment_changes", ["enrollment_id", "created_at"], unique=False
    )
    op.create_table(
        "enrollment_pauses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prolonged_by", sa.Interval(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "until > paused_at AND resumed_at >= paused_at", name=op.f("ck_enrollment_pauses_ends_after_start")
        ),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_enrollment_pauses_enrollment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollment_pauses")),
    )
    op.create_index(
        "ix_enrollment_pauses_enrollment_id", "enrollment_pauses", ["enrollment_id", "paused_at"], unique=False
    )
    op.create_index(
        "uq_enrollment_pauses_open",
        "enrollment_pauses",
        ["enrollment_id"],
        unique=True,
        postgresql_where=sa.text("resumed_at IS NULL"),
    )
    op.create_table(
        "lesson_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("score", sa.Numeric(precision=8, scale=2), nullable=True),
        sa.Column("time_spent_seconds", sa.Integer(), nullable=False),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "status IN ('in_progress', 'completed', 'passed', 'failed')", name=op.f("ck_lesson_attempts_status_known")
        ),
        sa.CheckConstraint(
            "number > 0 AND time_spent_seconds >= 0 AND score >= 0", name=op.f("ck_lesson_attempts_numbers_known")
        ),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_lesson_attempts_enrollment_id")),
        sa.ForeignKeyConstraint(["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_attempts_lesson_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_attempts")),
        sa.UniqueConstraint(
            "enrollment_id", "lesson_id", "number", name=op.f("uq_lesson_attempts_enrollment_id_lesson_id_number")
        ),
    )
    op.create_table(
        "lesson_progress",
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("score", sa.Numeric(precision=8, scale=2), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("time_spent_seconds", sa.Integer(), nullable=False),
        sa.Column("current_position", sa.Integer(), nullable=True),
        sa.Column("total_content", sa.Integer(), nullable=True),
        sa.Column("last_attempt_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("passed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_accessed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('in_progress', 'completed', 'passed', 'failed')", name=op.f("ck_lesson_progress_status_known")
        ),
        sa.CheckConstraint(
            "(current_position IS NULL) = (total_content IS NULL)", name=op.f("ck_lesson_progress_position_whole")
        ),
        sa.CheckConstraint(
            "attempts >= 0 AND time_spent_seconds >= 0", name=op.f("ck_lesson_progress_counts_not_negative")
        ),
        sa.CheckConstraint(
            "current_position >= 0 AND current_position <= total_content",
            name=op.f("ck_lesson_progress_position_known"),
        ),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_lesson_progress_enrollment_id")),
        sa.ForeignKeyConstraint(["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_progress_lesson_id")),
        sa.PrimaryKeyConstraint("enrollment_id", "lesson_id", name=op.f("pk_lesson_progress")),
    )
    op.create_index(op.f("ix_lesson_progress_lesson_id"), "lesson_progress", ["lesson_id"], unique=False)
    op.create_table(
        "lesson_releases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("tell_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mail_key", sa.String(length=48), nullable=True),
        sa.CheckConstraint(
            "reason IN ('immediately', 'fixed_date', 'after_registration', 'after_start', 'after_cohort_start', 'after_meeting', 'after_lesson', 'after_module', 'manual', 'all', 'any')",
            name=op.f("ck_lesson_releases_reason_known"),
        ),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_lesson_releases_enrollment_id")),
        sa.ForeignKeyConstraint(["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_releases_lesson_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_releases")),
        sa.UniqueConstraint("enrollment_id", "lesson_id", name=op.f("uq_lesson_releases_enrollment_id_lesson_id")),
    )
    op.create_index("ix_lesson_releases_mail_key", "lesson_releases", ["enrollment_id", "mail_key"], unique=False)
    op.create_index(
        "ix_lesson_releases_untold",
        "lesson_releases",
        ["enrollment_id"],
        unique=False,
        postgresql_where=sa.text("tell_at IS NOT NULL"),
    )
    op.create_table(
        "name_corrections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("certificate_id", sa.Uuid(), nullable=False),
        sa.Column("requested_name", sa.String(length=200), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=True),
        sa.Column("evidence_media_type", sa.String(length=80), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("needs_person", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("decided_by", sa.String(length=80), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'requested') = (decided_at IS NULL)", name=op.f("ck_name_corrections_decided_has_time")
        ),
        sa.CheckConstraint(
            "status IN ('requested', 'approved', 'rejected')", name=op.f("ck_name_corrections_status_known")
        ),
        sa.CheckConstraint(
            "(evidence_sha256 IS NULL) = (evidence_media_type IS NULL)", name=op.f("ck_name_corrections_evidence_whole")
        ),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificates.id"], name=op.f("fk_name_corrections_certificate_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_name_corrections")),
    )
    op.create_index(op.f("ix_name_corrections_certificate_id"), "name_corrections", ["certificate_id"], unique=False)
    op.create_index(
        "uq_name_corrections_certificate_open",
        "name_corrections",
        ["certificate_id"],
        unique=True,
        postgresql_where=sa.text("status = 'requested'"),
    )
    op.add_column(
        "academies", sa.Column("access_warning_days", sa.ARRAY(sa.Integer()), server_default="{7,1}", nullable=False)
    )
    op.add_column("certificates", sa.Column("template_id", sa.Uuid(), nullable=True))
    op.add_column("certificates", sa.Column("template_version", sa.Integer(), nullable=True))
    op.add_column("certificates", sa.Column("origin", sa.String(length=32), nullable=True))
    op.add_column("certificates", sa.Column("number", sa.String(length=40), nullable=True))
    op.add_column("certificates", sa.Column("code", sa.String(length=26), nullable=True))
    op.add_column("certificates", sa.Column("revocation_reason", sa.String(length=32), nullable=True))
    op.add_column(
        "certificates", sa.Column("facts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("certificates", sa.Column("predecessor_id", sa.Uuid(), nullable=True))
    op.add_column("certificates", sa.Column("file_sha256", sa.String(length=64), nullable=True))
    op.add_column("certificates", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("certificates", sa.Column("renewable_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("certificates", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("certificates", sa.Column("wakes_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("certificates", sa.Column("actor", sa.String(length=80), server_default="system", nullable=False))
    op.execute("UPDATE certificates SET revoked_at = updated_at WHERE status = 'revoked'")
    op.drop_index(
        "uq_certificates_enrollment_issued", table_name="certificates", postgresql_where=sa.text("status = 'issued'")
    )
    op.create_index(
        "ix_certificates_expires_at",
        "certificates",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'issued'"),
    )
    op.create_index(
        "ix_certificates_wakes_at",
        "certificates",
        ["wakes_at"],
        unique=False,
        postgresql_where=sa.text("wakes_at IS NOT NULL"),
    )
    op.create_index(
        "ix_certificates_file_sha256",
        "certificates",
        ["file_sha256"],
        unique=False,
        postgresql_where=sa.text("file_sha256 IS NOT NULL"),
    )
    op.create_unique_constraint(op.f("uq_certificates_code"), "certificates", ["code"])
    op.create_index(
        "uq_certificates_enrollment_template_live",
        "certificates",
        ["enrollment_id", "template_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('issued', 'revoked')"),
    )
    op.create_unique_constraint(op.f("uq_certificates_number"), "certificates", ["number"])
    op.create_unique_constraint(op.f("uq_certificates_predecessor_id"), "certificates", ["predecessor_id"])
    op.create_foreign_key(
        op.f("fk_certificates_template_id"), "certificates", "certificate_templates", ["template_id"], ["id"]
    )
    op.create_foreign_key(
        op.f("fk_certificates_predecessor_id"), "certificates", "certificates", ["predecessor_id"], ["id"]
    )
    op.add_column("class_sessions", sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "class_sessions",
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.add_column("courses", sa.Column("access_rule", sa.String(length=32), server_default="unlimited", nullable=False))
    op.execute("UPDATE courses SET access_rule = 'days_after_enrollment' WHERE access_days IS NOT NULL")
    op.add_column("courses", sa.Column("access_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("courses", sa.Column("completion_rule", sa.String(length=32), server_default="na", nullable=False))
    op.add_column("courses", sa.Column("release_mails", sa.String(length=32), server_default="each", nullable=False))
    op.add_column("courses", sa.Column("credits", sa.Integer(), nullable=True))
    op.add_column("enrollments", sa.Column("access_days_from_start", sa.Integer(), nullable=True))
    op.add_column("enrollments", sa.Column("clock_started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("enrollments", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("enrollments", sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE enrollments SET completed_at = updated_at WHERE status = 'completed'")
    op.add_column("enrollments", sa.Column("judgement", sa.String(length=32), nullable=True))
    op.add_column("enrollments", sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("enrollments", sa.Column("wakes_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_enrollments_wakes_at",
        "enrollments",
        ["wakes_at"],
        unique=False,
        postgresql_where=sa.text("wakes_at IS NOT NULL"),
    )
    op.create_index(
        "ix_enrollments_unplanned",
        "enrollments",
        ["enrolled_at"],
        unique=False,
        postgresql_where=sa.text("planned_at IS NULL AND status IN ('active', 'completed')"),
    )
    op.add_column("lesson_records", sa.Column("meeting_id", sa.Uuid(), nullable=True))
    op.add_column("lesson_records", sa.Column("attendance", sa.String(length=32), nullable=True))
    op.create_unique_constraint(
        op.f("uq_lesson_records_enrollment_id_meeting_id"), "lesson_records", ["enrollment_id", "meeting_id"]
    )
    op.create_foreign_key(
        op.f("fk_lesson_records_meeting_id"), "lesson_records", "class_sessions", ["meeting_id"], ["id"]
    )
    op.add_column("lessons", sa.Column("module_id", sa.Uuid(), nullable=True))
    op.add_column(
        "lessons",
        sa.Column(
            "drip_rule",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default='{"kind": "immediately"}',
            nullable=False,
        ),
    )
    op.execute(
        "UPDATE lessons SET drip_rule = jsonb_build_object("
        "'kind', 'after_registration', 'amount', release_after_days, 'unit', 'days') WHERE release_after_days > 0"
    )
    # Whoever learns already is not told by mail of what was open before.
    op.execute(
        "INSERT INTO lesson_releases (id, created_at, enrollment_id, lesson_id, opened_at, reason, actor)"
        " SELECT gen_random_uuid(), now(), e.id, l.id, o.at, l.drip_rule->>'kind', 'system'"
        " FROM enrollments e JOIN courses c ON c.id = e.course_id JOIN lessons l ON l.course_id = c.id"
        " CROSS JOIN LATERAL (SELECT greatest(e.enrolled_at, c.starts_at)"
        " + make_interval(days => l.release_after_days) AS at) o"
        " WHERE e.status IN ('active', 'suspended', 'completed') AND o.at <= now()"
    )
    # What was had before is learned: a lesson was done without an attempt when its tutor had said so.
    op.execute(
        "INSERT INTO lesson_progress (enrollment_id, lesson_id, status, attempts, time_spent_seconds,"
        " started_at, done_at, passed_at, last_accessed_at)"
        " SELECT enrollment_id, lesson_id, 'completed', 0, 0, updated_at, updated_at, updated_at, updated_at"
        " FROM lesson_records WHERE lesson_id IS NOT NULL AND outcome = 'completed'"
    )
    op.execute(
        "UPDATE enrollments e SET started_at = p.at"
        " FROM (SELECT enrollment_id, min(started_at) AS at FROM lesson_progress GROUP BY enrollment_id) p"
        " WHERE p.enrollment_id = e.id"
    )
    op.add_column("lessons", sa.Column("is_considered", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("lessons", sa.Column("max_attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("lessons", sa.Column("grade_rule", sa.String(length=32), server_default="highest", nullable=False))
    op.add_column("lessons", sa.Column("total_marks", sa.Numeric(precision=8, scale=2), nullable=True))
    op.add_column("lessons", sa.Column("passing_marks", sa.Numeric(precision=8, scale=2), nullable=True))
    op.add_column("lessons", sa.Column("applies_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lessons", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "lessons", sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
    )
    op.create_index(op.f("ix_lessons_module_id"), "lessons", ["module_id"], unique=False)
    op.create_foreign_key(op.f("fk_lessons_module_id"), "lessons", "course_modules", ["module_id"], ["id"])
    op.drop_column("lessons", "release_after_days")
    op.add_column("people", sa.Column("legal_name", sa.String(length=200), nullable=True))
    op.add_column("people", sa.Column("legal_name_confirmed_at", sa.DateTime(timezone=True), nullable=True))
    for table, name, condition in _CHECKS:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    op.drop_constraint(op.f("ck_lesson_records_lesson_or_slot"), "lesson_records", type_="check")
    op.drop_constraint(op.f("uq_lessons_course_id_position"), "lessons", type_="unique")
    op.create_unique_constraint(
        op.f("uq_lessons_course_id_position"),
        "lessons",
        ["course_id", "position"],
        deferrable=True,
        initially="DEFERRED",
    )
    _listed("mails", "template", (*_TEMPLATES, *_NEW_TEMPLATES))
    _listed("human_tasks", "kind", (*_TASKS, *_NEW_TASKS))


def downgrade() -> None:
    op.execute(f"DELETE FROM mails WHERE template IN ({_quoted(_NEW_TEMPLATES)})")  # noqa: S608 - words of ours
    op.execute(f"DELETE FROM human_tasks WHERE kind IN ({_quoted(_NEW_TASKS)})")  # noqa: S608
    op.execute("DELETE FROM lesson_records WHERE meeting_id IS NOT NULL")
    op.execute("DELETE FROM name_corrections")
    op.execute("DELETE FROM certificates WHERE number IS NOT NULL")
    _listed("human_tasks", "kind", _TASKS)
    _listed("mails", "template", _TEMPLATES)
    op.drop_constraint(op.f("uq_lessons_course_id_position"), "lessons", type_="unique")
    op.create_unique_constraint(op.f("uq_lessons_course_id_position"), "lessons", ["course_id", "position"])
    op.create_check_constraint(
        op.f("ck_lesson_records_lesson_or_slot"), "lesson_records", "(lesson_id IS NULL) <> (slot_id IS NULL)"
    )
    for table, name, _ in reversed(_CHECKS):
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
    op.drop_column("people", "legal_name_confirmed_at")
    op.drop_column("people", "legal_name")
    op.add_column("lessons", sa.Column("release_after_days", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        "UPDATE lessons SET release_after_days = coalesce((drip_rule->>'amount')::integer, 0)"
        " WHERE drip_rule->>'kind' = 'after_registration' AND drip_rule->>'unit' = 'days'"
    )
    op.create_check_constraint(op.f("ck_lessons_release_not_negative"), "lessons", "release_after_days >= 0")
    op.drop_constraint(op.f("fk_lessons_module_id"), "lessons", type_="foreignkey")
    op.drop_index(op.f("ix_lessons_module_id"), table_name="lessons")
    op.drop_column("lessons", "updated_at")
    op.drop_column("lessons", "removed_at")
    op.drop_column("lessons", "applies_from")
    op.drop_column("lessons", "passing_marks")
    op.drop_column("lessons", "total_marks")
    op.drop_column("lessons", "grade_rule")
    op.drop_column("lessons", "max_attempts")
    op.drop_column("lessons", "is_considered")
    op.drop_column("lessons", "drip_rule")
    op.drop_column("lessons", "module_id")
    op.drop_constraint(op.f("fk_lesson_records_meeting_id"), "lesson_records", type_="foreignkey")
    op.drop_constraint(op.f("uq_lesson_records_enrollment_id_meeting_id"), "lesson_records", type_="unique")
    op.drop_column("lesson_records", "attendance")
    op.drop_column("lesson_records", "meeting_id")
    op.drop_index(
        "ix_enrollments_unplanned",
        table_name="enrollments",
        postgresql_where=sa.text("planned_at IS NULL AND status IN ('active', 'completed')"),
    )
    op.drop_index(
        "ix_enrollments_wakes_at",
        table_name="enrollments",
        postgresql_where=sa.text("wakes_at IS NOT NULL"),
    )
    op.drop_column("enrollments", "wakes_at")
    op.drop_column("enrollments", "planned_at")
    op.drop_column("enrollments", "judgement")
    op.drop_column("enrollments", "completed_at")
    op.drop_column("enrollments", "started_at")
    op.drop_column("enrollments", "clock_started_at")
    op.drop_column("enrollments", "access_days_from_start")
    op.drop_column("courses", "credits")
    op.drop_column("courses", "release_mails")
    op.drop_column("courses", "completion_rule")
    op.drop_column("courses", "access_until")
    op.drop_column("courses", "access_rule")
    op.drop_column("class_sessions", "updated_at")
    op.drop_column("class_sessions", "canceled_at")
    op.drop_constraint(op.f("fk_certificates_predecessor_id"), "certificates", type_="foreignkey")
    op.drop_constraint(op.f("fk_certificates_template_id"), "certificates", type_="foreignkey")
    op.drop_constraint(op.f("uq_certificates_predecessor_id"), "certificates", type_="unique")
    op.drop_constraint(op.f("uq_certificates_number"), "certificates", type_="unique")
    op.drop_index(
        "uq_certificates_enrollment_template_live",
        table_name="certificates",
        postgresql_where=sa.text("status IN ('issued', 'revoked')"),
    )
    op.drop_constraint(op.f("uq_certificates_code"), "certificates", type_="unique")
    op.drop_index(
        "ix_certificates_expires_at", table_name="certificates", postgresql_where=sa.text("status = 'issued'")
    )
    op.create_index(
        "uq_certificates_enrollment_issued",
        "certificates",
        ["enrollment_id"],
        unique=True,
        postgresql_where=sa.text("status = 'issued'"),
    )
    op.drop_index(
        "ix_certificates_wakes_at", table_name="certificates", postgresql_where=sa.text("wakes_at IS NOT NULL")
    )
    op.drop_column("certificates", "wakes_at")
    op.drop_column("certificates", "actor")
    op.drop_column("certificates", "revoked_at")
    op.drop_column("certificates", "renewable_until")
    op.drop_column("certificates", "expires_at")
    op.drop_column("certificates", "file_sha256")
    op.drop_column("certificates", "predecessor_id")
    op.drop_column("certificates", "facts")
    op.drop_column("certificates", "revocation_reason")
    op.drop_column("certificates", "code")
    op.drop_column("certificates", "number")
    op.drop_column("certificates", "origin")
    op.drop_column("certificates", "template_version")
    op.drop_column("certificates", "template_id")
    op.drop_column("academies", "access_warning_days")
    op.drop_index(
        "uq_name_corrections_certificate_open",
        table_name="name_corrections",
        postgresql_where=sa.text("status = 'requested'"),
    )
    op.drop_index(op.f("ix_name_corrections_certificate_id"), table_name="name_corrections")
    op.drop_table("name_corrections")
    op.drop_index(
        "ix_lesson_releases_untold", table_name="lesson_releases", postgresql_where=sa.text("tell_at IS NOT NULL")
    )
    op.drop_index("ix_lesson_releases_mail_key", table_name="lesson_releases")
    op.drop_table("lesson_releases")
    op.drop_index(op.f("ix_lesson_progress_lesson_id"), table_name="lesson_progress")
    op.drop_table("lesson_progress")
    op.drop_table("lesson_attempts")
    op.drop_index(
        "uq_enrollment_pauses_open", table_name="enrollment_pauses", postgresql_where=sa.text("resumed_at IS NULL")
    )
    op.drop_index("ix_enrollment_pauses_enrollment_id", table_name="enrollment_pauses")
    op.drop_table("enrollment_pauses")
    op.drop_index("ix_enrollment_changes_enrollment_id", table_name="enrollment_changes")
    op.drop_table("enrollment_changes")
    op.drop_table("certificate_batch_lines")
    op.drop_table("course_modules")
    op.drop_index(op.f("ix_course_changes_course_id"), table_name="course_changes")
    op.drop_table("course_changes")
    op.drop_table("course_certificates")
    op.drop_index(op.f("ix_certificate_batches_course_id"), table_name="certificate_batches")
    op.drop_table("certificate_batches")
    op.drop_table("person_fields")
    op.drop_table("certificate_template_versions")
    op.drop_table("certificate_templates")


def _listed(table: str, column: str, words: Sequence[str]) -> None:
    """Let the column hold these words."""
    name = op.f(f"ck_{table}_{column}_known")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({_quoted(words)})")


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
