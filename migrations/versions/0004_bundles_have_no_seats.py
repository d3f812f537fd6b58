"""a bundle has no seats of its own: its courses have

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # It never limited anything.
    op.execute("UPDATE courses SET capacity = NULL, seats_taken = 0 WHERE kind = 'bundle'")
    op.create_check_constraint(
        op.f("ck_courses_bundle_has_no_seats"), "courses", "kind <> 'bundle' OR capacity IS NULL"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_courses_bundle_has_no_seats"), "courses", type_="check")
