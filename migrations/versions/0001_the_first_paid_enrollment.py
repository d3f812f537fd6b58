"""the first paid enrollment

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "academies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("legal_name", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("tax_number", sa.String(length=40), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_academies")),
    )
    op.create_index("uq_academies_only_one", "academies", [sa.literal_column("(true)")], unique=True)
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=True),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("workflow_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_subject", "audit_log", ["subject_kind", "subject_id", "created_at"], unique=False)
    op.create_table(
        "coupons",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("percent", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("usage_limit", sa.Integer(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'fixed_amount') = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL)",
            name=op.f("ck_coupons_amount_where_fixed"),
        ),
        sa.CheckConstraint(
            "(kind = 'percent_amount') = (percent IS NOT NULL)", name=op.f("ck_coupons_percent_where_percent")
        ),
        sa.CheckConstraint("kind IN ('fixed_amount', 'percent_amount')", name=op.f("ck_coupons_kind_known")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_coupons_amount_positive")),
        sa.CheckConstraint("percent > 0 AND percent <= 100", name=op.f("ck_coupons_percent_range")),
        sa.CheckConstraint(
            "uses >= 0 AND (usage_limit IS NULL OR uses <= usage_limit)", name=op.f("ck_coupons_within_limit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupons")),
    )
    op.create_index("uq_coupons_code", "coupons", [sa.literal_column("lower(code)")], unique=True)
    op.create_table(
        "number_series",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.CheckConstraint("last_number >= 0", name=op.f("ck_number_series_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_number_series")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("full_name", sa.String(length=200), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_index("uq_people_email", "people", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "stripe_events",
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("object_id", sa.String(length=255), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("stripe_created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('received', 'signaled', 'ignored', 'unmatched')", name=op.f("ck_stripe_events_status_known")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_stripe_events")),
    )
    op.create_index(op.f("ix_stripe_events_order_id"), "stripe_events", ["order_id"], unique=False)
    op.create_index(op.f("ix_stripe_events_received_at"), "stripe_events", ["received_at"], unique=False)
    op.create_table(
        "courses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=4000), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("refund_policy", sa.String(length=32), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("seats_taken", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enrollment_closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("access_days", sa.Integer(), nullable=True),
        sa.Column("tutor_id", sa.Uuid(), nullable=True),
        sa.Column("lessons_included", sa.Integer(), nullable=True),
        sa.Column("scheduling_type", sa.String(length=32), nullable=True),
        sa.Column("min_weekly_classes", sa.Integer(), nullable=True),
        sa.Column("max_daily_lessons", sa.Integer(), nullable=True),
        sa.Column("max_period_value", sa.Integer(), nullable=True),
        sa.Column("max_period_unit", sa.String(length=32), nullable=True),
        sa.Column("preliminary_meeting_required", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'tutor_pack') = (lessons_included IS NOT NULL)", name=op.f("ck_courses_pack_has_lessons")
        ),
        sa.CheckConstraint(
            "currency NOT IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') OR price_amount % 10 = 0",
            name=op.f("ck_courses_three_decimals_in_tens"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_courses_currency_iso")),
        sa.CheckConstraint("kind <> 'tutor_pack' OR tutor_id IS NOT NULL", name=op.f("ck_courses_pack_has_tutor")),
        sa.CheckConstraint("kind IN ('self_paced', 'cohort', 'tutor_pack')", name=op.f("ck_courses_kind_known")),
        sa.CheckConstraint("max_period_unit IN ('weeks', 'months')", name=op.f("ck_courses_max_period_unit_known")),
        sa.CheckConstraint(
            "refund_policy IN ('first_lesson', 'window', 'none')", name=op.f("ck_courses_refund_policy_known")
        ),
        sa.CheckConstraint("scheduling_type IN ('flexible', 'strict')", name=op.f("ck_courses_scheduling_type_known")),
        sa.CheckConstraint("status IN ('draft', 'published', 'retired')", name=op.f("ck_courses_status_known")),
        sa.CheckConstraint(
            "(max_period_value IS NULL) = (max_period_unit IS NULL)", name=op.f("ck_courses_period_whole")
        ),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_courses_capacity_positive")),
        sa.CheckConstraint("price_amount >= 0", name=op.f("ck_courses_price_not_negative")),
        sa.CheckConstraint(
            "seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity)", name=op.f("ck_courses_not_oversold")
        ),
        sa.ForeignKeyConstraint(["tutor_id"], ["people.id"], name=op.f("fk_courses_tutor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courses")),
        sa.UniqueConstraint("code", name=op.f("uq_courses_code")),
    )
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("template", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_reason", sa.String(length=200), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_mails_sent_has_time")),
        sa.CheckConstraint(
            "status IN ('queued', 'sent', 'unknown', 'bounced', 'skipped')", name=op.f("ck_mails_status_known")
        ),
        sa.CheckConstraint("template IN ('order_confirmation')", name=op.f("ck_mails_template_known")),
        sa.ForeignKeyConstraint(["recipient_id"], ["people.id"], name=op.f("fk_mails_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint(
            "recipient_id", "template", "subject_id", name=op.f("uq_mails_recipient_id_template_subject_id")
        ),
    )
    op.create_index(
        "ix_mails_unsent",
        "mails",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'unknown')"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("payer_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_reason", sa.String(length=200), nullable=True),
        sa.Column("payment_method", sa.String(length=32), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("list_amount", sa.BigInteger(), nullable=False),
        sa.Column("discount_amount", sa.BigInteger(), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=True),
        sa.Column("quote", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status IN ('completed', 'partially_refunded', 'refunded')) = (completed_at IS NOT NULL)",
            name=op.f("ck_orders_completed_has_time"),
        ),
        sa.CheckConstraint(
            "payment_method IN ('checkout', 'payment_intent')", name=op.f("ck_orders_payment_method_known")
        ),
        sa.CheckConstraint(
            "status IN ('pending_payment', 'completed', 'failed', 'cancelled', 'partially_refunded', 'refunded')",
            name=op.f("ck_orders_status_known"),
        ),
        sa.CheckConstraint(
            "list_amount >= 0 AND discount_amount >= 0 AND total_amount = list_amount - discount_amount AND total_amount >= 0",
            name=op.f("ck_orders_amounts_add_up"),
        ),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupons.id"], name=op.f("fk_orders_coupon_id")),
        sa.ForeignKeyConstraint(["payer_id"], ["people.id"], name=op.f("fk_orders_payer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("number", name=op.f("uq_orders_number")),
    )
    op.create_index(
        "ix_orders_open",
        "orders",
        ["hold_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending_payment'"),
    )
    op.create_index("ix_orders_payer_id_created_at", "orders", ["payer_id", "created_at"], unique=False)
    op.create_table(
        "stripe_customers",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_stripe_customers_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_stripe_customers")),
        sa.UniqueConstraint("customer_id", name=op.f("uq_stripe_customers_customer_id")),
    )
    op.create_table(
        "lessons",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("release_after_days", sa.Integer(), nullable=False),
        sa.Column("is_preview", sa.Boolean(), nullable=False),
        sa.CheckConstraint("release_after_days >= 0", name=op.f("ck_lessons_release_not_negative")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_lessons_course_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lessons")),
        sa.UniqueConstraint("course_id", "position", name=op.f("uq_lessons_course_id_position")),
    )
    op.create_table(
        "order_lines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("list_amount", sa.BigInteger(), nullable=False),
        sa.Column("discount_amount", sa.BigInteger(), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "list_amount >= 0 AND discount_amount >= 0 AND total_amount = list_amount - discount_amount AND total_amount >= 0",
            name=op.f("ck_order_lines_amounts_add_up"),
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_order_lines_course_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id")),
        sa.ForeignKeyConstraint(["student_id"], ["people.id"], name=op.f("fk_order_lines_student_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
        sa.UniqueConstraint(
            "order_id", "course_id", "student_id", name=op.f("uq_order_lines_order_id_course_id_student_id")
        ),
        sa.UniqueConstraint("order_id", "position", name=op.f("uq_order_lines_order_id_position")),
    )
    op.create_index(op.f("ix_order_lines_course_id"), "order_lines", ["course_id"], unique=False)
    op.create_index(op.f("ix_order_lines_student_id"), "order_lines", ["student_id"], unique=False)
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("captured_amount", sa.BigInteger(), nullable=False),
        sa.Column("refunded_amount", sa.BigInteger(), nullable=False),
        sa.Column("payment_intent_id", sa.String(length=255), nullable=True),
        sa.Column("checkout_session_id", sa.String(length=255), nullable=True),
        sa.Column("charge_id", sa.String(length=255), nullable=True),
        sa.Column("checkout_url", sa.String(length=2048), nullable=True),
        sa.Column("client_secret", sa.String(length=255), nullable=True),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'succeeded') = (succeeded_at IS NOT NULL)", name=op.f("ck_payments_succeeded_has_time")
        ),
        sa.CheckConstraint("status <> 'succeeded' OR client_secret IS NULL", name=op.f("ck_payments_secret_forgotten")),
        sa.CheckConstraint(
            "status IN ('requires_payment_method', 'requires_confirmation', 'requires_action', 'processing', 'succeeded', 'canceled')",
            name=op.f("ck_payments_status_known"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount_positive")),
        sa.CheckConstraint("captured_amount >= 0", name=op.f("ck_payments_captured_not_negative")),
        sa.CheckConstraint(
            "refunded_amount BETWEEN 0 AND captured_amount", name=op.f("ck_payments_refunded_within_captured")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_payments_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("charge_id", name=op.f("uq_payments_charge_id")),
        sa.UniqueConstraint("checkout_session_id", name=op.f("uq_payments_checkout_session_id")),
        sa.UniqueConstraint("order_id", name=op.f("uq_payments_order_id")),
        sa.UniqueConstraint("payment_intent_id", name=op.f("uq_payments_payment_intent_id")),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_key", sa.String(length=255), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint("(file_key IS NULL) = (sha256 IS NULL)", name=op.f("ck_receipts_file_whole")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_receipts_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("number", name=op.f("uq_receipts_number")),
        sa.UniqueConstraint("order_id", name=op.f("uq_receipts_order_id")),
    )
    op.create_table(
        "enrollments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("refund_policy", sa.String(length=32), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("access_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "enrolled_at IS NOT NULL OR status NOT IN ('active', 'suspended', 'completed', 'expired')",
            name=op.f("ck_enrollments_active_has_time"),
        ),
        sa.CheckConstraint(
            "refund_policy IN ('first_lesson', 'window', 'none')", name=op.f("ck_enrollments_refund_policy_known")
        ),
        sa.CheckConstraint(
            "status IN ('pending_approval', 'waitlisted', 'pending_payment', 'active', 'suspended', 'completed', 'canceled', 'expired')",
            name=op.f("ck_enrollments_status_known"),
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_enrollments_course_id")),
        sa.ForeignKeyConstraint(["order_line_id"], ["order_lines.id"], name=op.f("fk_enrollments_order_line_id")),
        sa.ForeignKeyConstraint(["student_id"], ["people.id"], name=op.f("fk_enrollments_student_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
        sa.UniqueConstraint("order_line_id", name=op.f("uq_enrollments_order_line_id")),
    )
    op.create_index(op.f("ix_enrollments_course_id"), "enrollments", ["course_id"], unique=False)
    op.create_index(
        "uq_enrollments_student_course_live",
        "enrollments",
        ["student_id", "course_id"],
        unique=True,
        postgresql_where=sa.text(
            "status IN ('pending_approval', 'waitlisted', 'pending_payment', 'active', 'suspended')"
        ),
    )
    op.create_table(
        "lesson_slots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("tutor_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('held', 'booked', 'completed')) = (order_line_id IS NOT NULL)",
            name=op.f("ck_lesson_slots_taken_has_owner"),
        ),
        sa.CheckConstraint(
            "status IN ('free', 'held', 'booked', 'completed', 'canceled')", name=op.f("ck_lesson_slots_status_known")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_lesson_slots_ends_after_start")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_lesson_slots_course_id")),
        sa.ForeignKeyConstraint(
            ["order_line_id"],
            ["order_lines.id"],
            name=op.f("fk_lesson_slots_order_line_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["tutor_id"], ["people.id"], name=op.f("fk_lesson_slots_tutor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_slots")),
    )
    op.create_index(op.f("ix_lesson_slots_course_id"), "lesson_slots", ["course_id"], unique=False)
    op.create_index(
        "ix_lesson_slots_order_line_id",
        "lesson_slots",
        ["order_line_id"],
        unique=False,
        postgresql_where=sa.text("order_line_id IS NOT NULL"),
    )
    op.create_index(
        "uq_lesson_slots_tutor_starts_at",
        "lesson_slots",
        ["tutor_id", "starts_at"],
        unique=True,
        postgresql_where=sa.text("status <> 'canceled'"),
    )
    op.execute(
        """
        CREATE FUNCTION refuse_rewriting_history() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is written once';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON audit_log"
        " FOR EACH ROW EXECUTE FUNCTION refuse_rewriting_history()"
    )


def downgrade() -> None:
    op.drop_index(
        "uq_lesson_slots_tutor_starts_at", table_name="lesson_slots", postgresql_where=sa.text("status <> 'canceled'")
    )
    op.drop_index(
        "ix_lesson_slots_order_line_id",
        table_name="lesson_slots",
        postgresql_where=sa.text("order_line_id IS NOT NULL"),
    )
    op.drop_index(op.f("ix_lesson_slots_course_id"), table_name="lesson_slots")
    op.drop_table("lesson_slots")
    op.drop_index(
        "uq_enrollments_student_course_live",
        table_name="enrollments",
        postgresql_where=sa.text(
            "status IN ('pending_approval', 'waitlisted', 'pending_payment', 'active', 'suspended')"
        ),
    )
    op.drop_index(op.f("ix_enrollments_course_id"), table_name="enrollments")
    op.drop_table("enrollments")
    op.drop_table("receipts")
    op.drop_table("payments")
    op.drop_index(op.f("ix_order_lines_student_id"), table_name="order_lines")
    op.drop_index(op.f("ix_order_lines_course_id"), table_name="order_lines")
    op.drop_table("order_lines")
    op.drop_table("lessons")
    op.drop_table("stripe_customers")
    op.drop_index("ix_orders_payer_id_created_at", table_name="orders")
    op.drop_index("ix_orders_open", table_name="orders", postgresql_where=sa.text("status = 'pending_payment'"))
    op.drop_table("orders")
    op.drop_index("ix_mails_unsent", table_name="mails", postgresql_where=sa.text("status IN ('queued', 'unknown')"))
    op.drop_table("mails")
    op.drop_table("courses")
    op.drop_index(op.f("ix_stripe_events_received_at"), table_name="stripe_events")
    op.drop_index(op.f("ix_stripe_events_order_id"), table_name="stripe_events")
    op.drop_table("stripe_events")
    op.drop_index("uq_people_email", table_name="people")
    op.drop_table("people")
    op.drop_table("number_series")
    op.drop_index("uq_coupons_code", table_name="coupons")
    op.drop_table("coupons")
    op.drop_index("ix_audit_log_subject", table_name="audit_log")
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION refuse_rewriting_history()")
    op.drop_index("uq_academies_only_one", table_name="academies")
    op.drop_table("academies")
