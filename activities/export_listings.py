"""Every export that lists things, by its report."""

from collections.abc import Mapping

from activities.export_carts import carts
from activities.export_certificates import certificates
from activities.export_columns import ListingOf
from activities.export_enrollments import enrollments
from activities.export_filters import within
from activities.export_ledgers import audit, mails
from activities.export_orders import orders
from activities.export_payments import payments
from activities.export_people import tutor_applications, users
from models.vocabulary import ExportReport

__all__ = ["LISTINGS", "within"]

LISTINGS: Mapping[ExportReport, ListingOf] = {
    ExportReport.ORDERS: orders,
    ExportReport.PAYMENTS: payments,
    ExportReport.ENROLLMENTS: enrollments,
    ExportReport.USERS: users,
    ExportReport.TUTOR_APPLICATIONS: tutor_applications,
    ExportReport.CARTS: carts,
    ExportReport.CERTIFICATES: certificates,
    ExportReport.MAILS: mails,
    ExportReport.AUDIT: audit,
}
