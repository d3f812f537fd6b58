"""how to pay an invoice, in the academy's own words

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("academies", sa.Column("payment_instructions", sa.String(length=1000), nullable=True))


def downgrade() -> None:
    op.drop_column("academies", "payment_instructions")
