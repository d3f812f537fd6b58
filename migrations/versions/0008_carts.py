"""Carts, their settings, and who wants marketing mail

Revision ID: 0008
Revises: 0007
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

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
)


def upgrade() -> None:
    op.create_table(
        "cart_settings",
        sa.Column("academy_id", sa.Uuid(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("tracks_staff", sa.Boolean(), nullable=False),
        sa.Column("cutoff_minutes", sa.Integer(), nullable=False),
        sa.Column("delays_minutes", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("coupon_percent", sa.Integer(), nullable=True),
        sa.Column("consent_mode", sa.String(length=32), nullable=False),
        sa.Column("utm_source", sa.String(length=64), nullable=True),
        sa.Column("utm_medium", sa.String(length=64), nullable=True),
        sa.Column("utm_campaign", sa.String(length=64), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "consent_mode IN ('opt_in', 'soft_opt_in', 'off')", name=op.f("ck_cart_settings_consent_mode_known")
        ),
        sa.CheckConstraint("cardinality(delays_minutes) <= 5", name=op.f("ck_cart_settings_delays_few")),
        sa.CheckConstraint("coupon_percent BETWEEN 1 AND 100", name=op.f("ck_cart_settings_coupon_percent_known")),
        sa.CheckConstraint("cutoff_minutes BETWEEN 10 AND 1440", name=op.f("ck_cart_settings_cutoff_known")),
        sa.ForeignKeyConstraint(["academy_id"], ["academies.id"], name=op.f("fk_cart_settings_academy_id")),
        sa.PrimaryKeyConstraint("academy_id", name=op.f("pk_cart_settings")),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("list", sa.String(length=32), nullable=False),
        sa.Column("is_given", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("text_version", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.CheckConstraint("list IN ('cart', 'learning', 'announcements')", name=op.f("ck_consents_list_known")),
        sa.CheckConstraint(
            "source IN ('checkout', 'account', 'import', 'staff', 'unsubscribe_page', 'one_click', 'complaint')",
            name=op.f("ck_consents_source_known"),
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_consents_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_person_id", "consents", ["person_id", "created_at"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("list", sa.String(length=32), nullable=False),
        sa.Column("token", sa.String(length=43), nullable=False),
        sa.Column("consented_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complained_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("list IN ('cart', 'learning', 'announcements')", name=op.f("ck_subscriptions_list_known")),
        sa.CheckConstraint(
            "NOT (consented_at IS NOT NULL AND withdrawn_at IS NOT NULL)", name=op.f("ck_subscriptions_yes_or_no")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_subscriptions_person_id")),
        sa.PrimaryKeyConstraint("person_id", "list", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("token", name=op.f("uq_subscriptions_token")),
    )
    op.create_table(
        "carts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_reason", sa.String(length=32), nullable=True),
        sa.Column("is_staff", sa.Boolean(), nullable=False),
        sa.Column("coupon_code", sa.String(length=40), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("total_amount", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("abandoned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('open', 'abandoned', 'recovered', 'lost', 'ordered', 'cleared')",
            name=op.f("ck_carts_status_known"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('recovered', 'ordered') OR order_id IS NOT NULL", name=op.f("ck_carts_bought_has_order")
        ),
        sa.CheckConstraint("(total_amount IS NULL) = (currency IS NULL)", name=op.f("ck_carts_total_is_money")),
        sa.CheckConstraint("reminders BETWEEN 0 AND 10", name=op.f("ck_carts_reminders_known")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_carts_order_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_carts_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carts")),
    )
    op.create_index("ix_carts_abandoned_at", "carts", ["abandoned_at"], unique=False)
    op.create_index("ix_carts_person_id", "carts", ["person_id", "created_at"], unique=False)
    op.create_index(
        "uq_carts_person_live",
        "carts",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('open', 'abandoned')"),
    )
    op.create_table(
        "cart_lines",
        sa.Column("cart_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["cart_id"], ["carts.id"], name=op.f("fk_cart_lines_cart_id")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_cart_lines_course_id")),
        sa.PrimaryKeyConstraint("cart_id", "course_id", name=op.f("pk_cart_lines")),
    )
    op.create_index("ix_cart_lines_course_id", "cart_lines", ["course_id"], unique=False)
    op.add_column("coupons", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("mails", sa.Column("list", sa.String(length=32), nullable=True))
    op.add_column("mails", sa.Column("deferred_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("mails", sa.Column("deferred_reason", sa.String(length=32), nullable=True))
    op.create_index(
        "ix_mails_recipient_id_handed_over_at",
        "mails",
        ["recipient_id", "handed_over_at"],
        unique=False,
        postgresql_where=sa.text("list IS NOT NULL"),
    )
    op.add_column("people", sa.Column("is_guest", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("people", sa.Column("email_digest", sa.String(length=64), nullable=True))
    op.create_index(
        "uq_people_email_digest", "people", ["email_digest"], unique=True, postgresql_where=sa.text("is_guest")
    )
    op.create_check_constraint(
        op.f("ck_mails_list_known"), "mails", "list IS NULL OR list IN ('cart', 'learning', 'announcements')"
    )
    op.create_check_constraint(
        op.f("ck_mails_deferred_has_reason"), "mails", "(deferred_until IS NULL) = (deferred_reason IS NULL)"
    )
    _listed("mails", "template", (*_TEMPLATES, "cart_reminder"))


def downgrade() -> None:
    op.execute("DELETE FROM mails WHERE template = 'cart_reminder'")
    _listed("mails", "template", _TEMPLATES)
    op.drop_constraint(op.f("ck_mails_deferred_has_reason"), "mails", type_="check")
    op.drop_constraint(op.f("ck_mails_list_known"), "mails", type_="check")
    op.drop_index("uq_people_email_digest", table_name="people", postgresql_where=sa.text("is_guest"))
    op.drop_column("people", "email_digest")
    op.drop_column("people", "is_guest")
    op.drop_index(
        "ix_mails_recipient_id_handed_over_at", table_name="mails", postgresql_where=sa.text("list IS NOT NULL")
    )
    op.drop_column("mails", "deferred_reason")
    op.drop_column("mails", "deferred_until")
    op.drop_column("mails", "list")
    op.drop_column("coupons", "expires_at")
    op.drop_index("ix_cart_lines_course_id", table_name="cart_lines")
    op.drop_table("cart_lines")
    op.drop_index(
        "uq_carts_person_live", table_name="carts", postgresql_where=sa.text("status IN ('open', 'abandoned')")
    )
    op.drop_index("ix_carts_person_id", table_name="carts")
    op.drop_index("ix_carts_abandoned_at", table_name="carts")
    op.drop_table("carts")
    op.drop_table("subscriptions")
    op.drop_index("ix_consents_person_id", table_name="consents")
    op.drop_table("consents")
    op.drop_table("cart_settings")


def _listed(table: str, column: str, words: Sequence[str]) -> None:
    """Let the column hold these words."""
    name = op.f(f"ck_{table}_{column}_known")
    listed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({listed})")
