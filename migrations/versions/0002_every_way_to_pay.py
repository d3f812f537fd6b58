"""every way to pay: coupons, taxes, bundles, invoices, refunds, documents, tasks

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


_MAILS_NOW = ", ".join(
    f"'{template}'"
    for template in (
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
)
_OF_BEFORE = {
    "courses": {"kind_known", "three_decimals_in_tens"},
    "lesson_slots": {"taken_has_owner"},
    "mails": {"template_known"},
    "order_lines": {"amounts_add_up"},
    "orders": {"amounts_add_up", "payment_method_known"},
}


def _add(table: str, column: "sa.Column[object]", value: str) -> None:
    """Add a column that must be filled, with this value (SQL) in the rows that are there."""
    column.server_default = sa.DefaultClause(sa.text(value))
    op.add_column(table, column)
    op.alter_column(table, column.name, server_default=None)


def _replace_checks(table: str, **checks: str | None) -> None:
    """Give the table these CHECKs, in place of those of the same name; none drops one."""
    for name, condition in checks.items():
        constraint = op.f(f"ck_{table}_{name}")
        if condition is None or name in _OF_BEFORE.get(table, ()):
            op.drop_constraint(constraint, table, type_="check")
        if condition is not None:
            op.create_check_constraint(constraint, table, condition)


def upgrade() -> None:
    op.create_table(
        "human_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("allowed_actions", sa.ARRAY(sa.String(length=32)), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(length=32), nullable=True),
        sa.Column("decided_by", sa.String(length=80), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'done') = (decided_at IS NOT NULL)", name=op.f("ck_human_tasks_done_has_time")),
        sa.CheckConstraint(
            "kind IN ('amount_differs', 'double_payment', 'unknown_payment', 'pay_back', 'provisioning_failed', 'refund_failed')",
            name=op.f("ck_human_tasks_kind_known"),
        ),
        sa.CheckConstraint("status IN ('open', 'done')", name=op.f("ck_human_tasks_status_known")),
        sa.CheckConstraint("cardinality(allowed_actions) > 0", name=op.f("ck_human_tasks_has_actions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_human_tasks")),
    )
    op.create_index(
        "ix_human_tasks_open", "human_tasks", ["due_at"], unique=False, postgresql_where=sa.text("status = 'open'")
    )
    op.create_index("ix_human_tasks_subject", "human_tasks", ["subject_kind", "subject_id"], unique=False)
    op.create_table(
        "tax_rates",
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("percent", sa.Numeric(precision=5, scale=2), nullable=False),
        sa.Column("behavior", sa.String(length=32), nullable=False),
        sa.CheckConstraint("behavior IN ('inclusive', 'exclusive')", name=op.f("ck_tax_rates_behavior_known")),
        sa.CheckConstraint("percent > 0 AND percent < 100", name=op.f("ck_tax_rates_percent_range")),
        sa.PrimaryKeyConstraint("country", name=op.f("pk_tax_rates")),
    )
    op.create_table(
        "bundle_courses",
        sa.Column("bundle_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.CheckConstraint("bundle_id <> course_id", name=op.f("ck_bundle_courses_not_itself")),
        sa.ForeignKeyConstraint(["bundle_id"], ["courses.id"], name=op.f("fk_bundle_courses_bundle_id")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_bundle_courses_course_id")),
        sa.PrimaryKeyConstraint("bundle_id", "course_id", name=op.f("pk_bundle_courses")),
    )
    op.create_table(
        "class_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("location", sa.String(length=200), nullable=True),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_class_sessions_ends_after_start")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_class_sessions_course_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_sessions")),
    )
    op.create_index(op.f("ix_class_sessions_course_id"), "class_sessions", ["course_id"], unique=False)
    op.create_table(
        "coupon_uses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('reserved', 'confirmed', 'released')", name=op.f("ck_coupon_uses_status_known")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupons.id"], name=op.f("fk_coupon_uses_coupon_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_coupon_uses_order_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_coupon_uses_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon_uses")),
        sa.UniqueConstraint("order_id", name=op.f("uq_coupon_uses_order_id")),
    )
    op.create_index("ix_coupon_uses_coupon_id_person_id", "coupon_uses", ["coupon_id", "person_id"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("paid_amount", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("ck_invoices_closed_has_time")),
        sa.CheckConstraint("status <> 'paid' OR paid_amount >= amount", name=op.f("ck_invoices_paid_in_full")),
        sa.CheckConstraint("status IN ('open', 'paid', 'void')", name=op.f("ck_invoices_status_known")),
        sa.CheckConstraint("amount > 0 AND paid_amount >= 0", name=op.f("ck_invoices_amounts_positive")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_invoices_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("order_id", name=op.f("uq_invoices_order_id")),
    )
    op.create_table(
        "screening_meetings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.String(length=32), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(decision = 'pending') = (decided_at IS NULL)", name=op.f("ck_screening_meetings_decided_has_time")
        ),
        sa.CheckConstraint(
            "decision IN ('pending', 'approved', 'rejected')", name=op.f("ck_screening_meetings_decision_known")
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_screening_meetings_course_id")),
        sa.ForeignKeyConstraint(["student_id"], ["people.id"], name=op.f("fk_screening_meetings_student_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_meetings")),
    )
    op.create_index(
        "ix_screening_meetings_course_id_student_id", "screening_meetings", ["course_id", "student_id"], unique=False
    )
    op.create_table(
        "invoice_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=True),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "method IN ('bank_transfer', 'cash', 'cheque', 'other')", name=op.f("ck_invoice_payments_method_known")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_invoice_payments_amount_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_payments_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_payments")),
    )
    op.create_index(op.f("ix_invoice_payments_invoice_id"), "invoice_payments", ["invoice_id"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("stripe_refund_id", sa.String(length=255), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')",
            name=op.f("ck_refunds_status_known"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refunds_amount_positive")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_refunds_enrollment_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refunds_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("enrollment_id", name=op.f("uq_refunds_enrollment_id")),
        sa.UniqueConstraint("stripe_refund_id", name=op.f("uq_refunds_stripe_refund_id")),
    )
    op.create_index(op.f("ix_refunds_order_id"), "refunds", ["order_id"], unique=False)
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_key", sa.String(length=255), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("printed", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(kind = 'credit_note') = (refund_id IS NOT NULL)", name=op.f("ck_documents_credit_note_has_refund")
        ),
        sa.CheckConstraint("kind IN ('receipt', 'invoice', 'credit_note')", name=op.f("ck_documents_kind_known")),
        sa.CheckConstraint(
            "(file_key IS NULL) = (sha256 IS NULL) AND (file_key IS NULL) = (printed IS NULL)",
            name=op.f("ck_documents_file_whole"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_documents_order_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_documents_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("number", name=op.f("uq_documents_number")),
        sa.UniqueConstraint("refund_id", name=op.f("uq_documents_refund_id")),
    )
    op.create_index("ix_documents_order_id", "documents", ["order_id"], unique=False)
    op.create_index(
        "uq_documents_order_id_kind",
        "documents",
        ["order_id", "kind"],
        unique=True,
        postgresql_where=sa.text("kind IN ('receipt', 'invoice')"),
    )
    op.execute(
        """
        INSERT INTO documents (id, created_at, order_id, kind, number, issued_at, file_key, sha256, printed)
        SELECT id, created_at, order_id, 'receipt', number, issued_at, file_key, sha256,
            CASE WHEN file_key IS NULL THEN NULL ELSE '{}'::jsonb END
        FROM receipts
        """
    )
    op.drop_table("receipts")
    op.add_column("coupons", sa.Column("per_person_limit", sa.Integer(), nullable=True))
    op.add_column("coupons", sa.Column("minimum_amount", sa.BigInteger(), nullable=True))
    op.add_column("coupons", sa.Column("minimum_currency", sa.String(length=3), nullable=True))
    _add("coupons", sa.Column("allowed_emails", sa.ARRAY(sa.String(length=254)), nullable=False), "'{}'")
    _add("coupons", sa.Column("allowed_course_ids", sa.ARRAY(sa.Uuid()), nullable=False), "'{}'")
    _add("coupons", sa.Column("excluded_course_ids", sa.ARRAY(sa.Uuid()), nullable=False), "'{}'")
    _add("coupons", sa.Column("allowed_categories", sa.ARRAY(sa.String(length=80)), nullable=False), "'{}'")
    _add("coupons", sa.Column("excluded_categories", sa.ARRAY(sa.String(length=80)), nullable=False), "'{}'")
    _add("coupons", sa.Column("excludes_sale_prices", sa.Boolean(), nullable=False), "false")
    _add("courses", sa.Column("cost_scheme", sa.String(length=32), nullable=False), "'student'")
    op.add_column("courses", sa.Column("sale_price_amount", sa.BigInteger(), nullable=True))
    op.add_column("courses", sa.Column("sale_starts_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("courses", sa.Column("sale_ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("courses", sa.Column("approver_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_courses_approver_id"), "courses", "people", ["approver_id"], ["id"])
    _add("enrollments", sa.Column("share_amount", sa.BigInteger(), nullable=False), "0")
    op.add_column("enrollments", sa.Column("provisioned_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("uq_enrollments_order_line_id"), "enrollments", type_="unique")
    op.create_unique_constraint(
        op.f("uq_enrollments_order_line_id_course_id"), "enrollments", ["order_line_id", "course_id"]
    )
    op.add_column("lesson_slots", sa.Column("student_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_lesson_slots_student_id_starts_at",
        "lesson_slots",
        ["student_id", "starts_at"],
        unique=False,
        postgresql_where=sa.text("student_id IS NOT NULL"),
    )
    op.create_foreign_key(op.f("fk_lesson_slots_student_id"), "lesson_slots", "people", ["student_id"], ["id"])
    _add("mails", sa.Column("occasion", sa.String(length=48), nullable=False), "''")
    op.drop_constraint(op.f("uq_mails_recipient_id_template_subject_id"), "mails", type_="unique")
    op.create_unique_constraint(
        op.f("uq_mails_recipient_id_template_subject_id_occasion"),
        "mails",
        ["recipient_id", "template", "subject_id", "occasion"],
    )
    _add("order_lines", sa.Column("tax_amount", sa.BigInteger(), nullable=False), "0")
    _add("order_lines", sa.Column("slot_ids", sa.ARRAY(sa.Uuid()), nullable=False), "'{}'")
    _add("order_lines", sa.Column("already_entitled", sa.Boolean(), nullable=False), "false")
    _add("orders", sa.Column("tax_amount", sa.BigInteger(), nullable=False), "0")
    _add("orders", sa.Column("tax_inclusive", sa.Boolean(), nullable=False), "true")
    op.add_column("orders", sa.Column("tax_name", sa.String(length=40), nullable=True))
    op.add_column("orders", sa.Column("tax_percent", sa.Numeric(precision=5, scale=2), nullable=True))
    op.add_column("orders", sa.Column("hold_lapsed_at", sa.DateTime(timezone=True), nullable=True))
    _add("payments", sa.Column("attempt", sa.Integer(), nullable=False), "1")
    op.add_column("payments", sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payments", sa.Column("decline_code", sa.String(length=64), nullable=True))
    op.add_column("payments", sa.Column("resting_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("people", sa.Column("billing_name", sa.String(length=200), nullable=True))
    op.add_column("people", sa.Column("billing_address", sa.String(length=500), nullable=True))
    op.add_column("people", sa.Column("tax_number", sa.String(length=40), nullable=True))
    _add("people", sa.Column("may_pay_by_invoice", sa.Boolean(), nullable=False), "false")
    _replace_checks(
        "courses",
        kind_known="kind IN ('self_paced', 'cohort', 'tutor_pack', 'bundle')",
        cost_scheme_known="cost_scheme IN ('student', 'order', 'free')",
        three_decimals_in_tens="currency NOT IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND')"
        " OR (price_amount % 10 = 0 AND coalesce(sale_price_amount, 0) % 10 = 0)",
        sale_price_below_price="sale_price_amount >= 0 AND sale_price_amount < price_amount",
        sale_ends_after_start="sale_ends_at > sale_starts_at",
        sale_window_has_price="sale_price_amount IS NOT NULL OR (sale_starts_at IS NULL AND sale_ends_at IS NULL)",
    )
    _replace_checks(
        "coupons",
        limits_positive="usage_limit >= 0 AND per_person_limit > 0",
        minimum_whole="(minimum_amount IS NULL) = (minimum_currency IS NULL)",
    )
    _replace_checks("enrollments", share_not_negative="share_amount >= 0")
    op.execute(
        """
        UPDATE lesson_slots SET student_id = order_lines.student_id
        FROM order_lines WHERE order_lines.id = lesson_slots.order_line_id
        """
    )
    _replace_checks(
        "lesson_slots",
        taken_has_owner="(status IN ('held', 'booked', 'completed')) = (order_line_id IS NOT NULL)"
        " AND (order_line_id IS NULL) = (student_id IS NULL)",
    )
    op.drop_index("uq_lesson_slots_tutor_starts_at", "lesson_slots")
    op.create_index(
        "uq_lesson_slots_tutor_starts_at",
        "lesson_slots",
        ["tutor_id", "starts_at"],
        unique=True,
        postgresql_where=sa.text("status IN ('held', 'booked', 'completed')"),
    )
    _replace_checks("mails", template_known=f"template IN ({_MAILS_NOW})")
    _replace_checks(
        "orders",
        payment_method_known="payment_method IN ('checkout', 'payment_intent', 'invoice')",
        amounts_add_up="list_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0"
        " AND total_amount = list_amount - discount_amount + CASE WHEN tax_inclusive THEN 0 ELSE tax_amount END",
        tax_whole="(tax_percent IS NULL) = (tax_name IS NULL)",
        untaxed_without_tax="tax_percent IS NOT NULL OR tax_amount = 0",
    )
    _replace_checks(
        "order_lines",
        amounts_add_up="list_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0"
        " AND total_amount IN (list_amount - discount_amount, list_amount - discount_amount + tax_amount)",
        entitled_costs_nothing="NOT already_entitled OR total_amount = 0",
    )
    op.execute(
        """
        UPDATE order_lines SET slot_ids = chosen.ids
        FROM (
            SELECT order_line_id, array_agg(id ORDER BY starts_at) AS ids
            FROM lesson_slots WHERE order_line_id IS NOT NULL GROUP BY order_line_id
        ) AS chosen
        WHERE chosen.order_line_id = order_lines.id
        """
    )
    op.execute(
        """
        UPDATE enrollments SET share_amount = order_lines.total_amount
        FROM order_lines WHERE order_lines.id = enrollments.order_line_id
        """
    )
    op.execute(
        """
        INSERT INTO coupon_uses (id, created_at, updated_at, coupon_id, order_id, person_id, status)
        SELECT gen_random_uuid(), created_at, updated_at, coupon_id, id, payer_id, CASE
            WHEN status = 'pending_payment' THEN 'reserved'
            WHEN status IN ('failed', 'cancelled') THEN 'released'
            ELSE 'confirmed' END
        FROM orders WHERE coupon_id IS NOT NULL
        """
    )


def downgrade() -> None:
    _replace_checks(
        "order_lines",
        entitled_costs_nothing=None,
        amounts_add_up="list_amount >= 0 AND discount_amount >= 0 AND total_amount = list_amount - discount_amount"
        " AND total_amount >= 0",
    )
    _replace_checks(
        "orders",
        tax_whole=None,
        untaxed_without_tax=None,
        payment_method_known="payment_method IN ('checkout', 'payment_intent')",
        amounts_add_up="list_amount >= 0 AND discount_amount >= 0 AND total_amount = list_amount - discount_amount"
        " AND total_amount >= 0",
    )
    _replace_checks("mails", template_known="template IN ('order_confirmation')")
    op.drop_index("uq_lesson_slots_tutor_starts_at", "lesson_slots")
    op.create_index(
        "uq_lesson_slots_tutor_starts_at",
        "lesson_slots",
        ["tutor_id", "starts_at"],
        unique=True,
        postgresql_where=sa.text("status <> 'canceled'"),
    )
    _replace_checks(
        "lesson_slots",
        taken_has_owner="(status IN ('held', 'booked', 'completed')) = (order_line_id IS NOT NULL)",
    )
    _replace_checks("enrollments", share_not_negative=None)
    _replace_checks("coupons", limits_positive=None, minimum_whole=None)
    _replace_checks(
        "courses",
        cost_scheme_known=None,
        sale_price_below_price=None,
        sale_ends_after_start=None,
        sale_window_has_price=None,
        kind_known="kind IN ('self_paced', 'cohort', 'tutor_pack')",
        three_decimals_in_tens="currency NOT IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND')"
        " OR price_amount % 10 = 0",
    )
    op.drop_column("people", "may_pay_by_invoice")
    op.drop_column("people", "tax_number")
    op.drop_column("people", "billing_address")
    op.drop_column("people", "billing_name")
    op.drop_column("payments", "resting_until")
    op.drop_column("payments", "decline_code")
    op.drop_column("payments", "declined_at")
    op.drop_column("payments", "attempt")
    op.drop_column("orders", "hold_lapsed_at")
    op.drop_column("orders", "tax_percent")
    op.drop_column("orders", "tax_name")
    op.drop_column("orders", "tax_inclusive")
    op.drop_column("orders", "tax_amount")
    op.drop_column("order_lines", "already_entitled")
    op.drop_column("order_lines", "slot_ids")
    op.drop_column("order_lines", "tax_amount")
    op.drop_constraint(op.f("uq_mails_recipient_id_template_subject_id_occasion"), "mails", type_="unique")
    op.create_unique_constraint(
        op.f("uq_mails_recipient_id_template_subject_id"), "mails", ["recipient_id", "template", "subject_id"]
    )
    op.drop_column("mails", "occasion")
    op.drop_constraint(op.f("fk_lesson_slots_student_id"), "lesson_slots", type_="foreignkey")
    op.drop_index("ix_lesson_slots_student_id_starts_at", "lesson_slots")
    op.drop_column("lesson_slots", "student_id")
    op.drop_constraint(op.f("uq_enrollments_order_line_id_course_id"), "enrollments", type_="unique")
    op.create_unique_constraint(op.f("uq_enrollments_order_line_id"), "enrollments", ["order_line_id"])
    op.drop_column("enrollments", "provisioned_at")
    op.drop_column("enrollments", "share_amount")
    op.drop_constraint(op.f("fk_courses_approver_id"), "courses", type_="foreignkey")
    op.drop_column("courses", "approver_id")
    op.drop_column("courses", "sale_ends_at")
    op.drop_column("courses", "sale_starts_at")
    op.drop_column("courses", "sale_price_amount")
    op.drop_column("courses", "cost_scheme")
    op.drop_column("coupons", "excludes_sale_prices")
    op.drop_column("coupons", "excluded_categories")
    op.drop_column("coupons", "allowed_categories")
    op.drop_column("coupons", "excluded_course_ids")
    op.drop_column("coupons", "allowed_course_ids")
    op.drop_column("coupons", "allowed_emails")
    op.drop_column("coupons", "minimum_currency")
    op.drop_column("coupons", "minimum_amount")
    op.drop_column("coupons", "per_person_limit")
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
    op.execute(
        """
        INSERT INTO receipts (id, created_at, order_id, number, issued_at, file_key, sha256)
        SELECT id, created_at, order_id, number, issued_at, file_key, sha256 FROM documents WHERE kind = 'receipt'
        """
    )
    op.drop_index(
        "uq_documents_order_id_kind", table_name="documents", postgresql_where=sa.text("kind IN ('receipt', 'invoice')")
    )
    op.drop_index("ix_documents_order_id", table_name="documents")
    op.drop_table("documents")
    op.drop_index(op.f("ix_refunds_order_id"), table_name="refunds")
    op.drop_table("refunds")
    op.drop_index(op.f("ix_invoice_payments_invoice_id"), table_name="invoice_payments")
    op.drop_table("invoice_payments")
    op.drop_index("ix_screening_meetings_course_id_student_id", table_name="screening_meetings")
    op.drop_table("screening_meetings")
    op.drop_table("invoices")
    op.drop_index("ix_coupon_uses_coupon_id_person_id", table_name="coupon_uses")
    op.drop_table("coupon_uses")
    op.drop_index(op.f("ix_class_sessions_course_id"), table_name="class_sessions")
    op.drop_table("class_sessions")
    op.drop_table("bundle_courses")
    op.drop_table("tax_rates")
    op.drop_index("ix_human_tasks_subject", table_name="human_tasks")
    op.drop_index("ix_human_tasks_open", table_name="human_tasks", postgresql_where=sa.text("status = 'open'"))
    op.drop_table("human_tasks")
