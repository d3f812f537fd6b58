"""Every check there is, in the order in which they are told."""

from collections.abc import Mapping

from doctor import addresses, database, outside, stripe, temporal
from doctor.examination import Check

CHECKS: Mapping[str, Check] = {
    "database": database.database,
    "schema": database.schema,
    "clock": database.clock,
    "academy": database.academy,
    "task contacts": database.task_contacts,
    "Temporal": temporal.temporal,
    "namespace": temporal.namespace,
    "search attributes": temporal.search_attributes,
    "workers": temporal.workers,
    "build": temporal.build,
    "schedules": temporal.schedules,
    "Stripe key": stripe.key,
    "Stripe modes": stripe.modes,
    "Stripe webhooks": stripe.webhooks,
    "webhook secrets": stripe.webhook_secrets,
    "Stripe account": stripe.account,
    "mail server": outside.mail_server,
    "mail sender": outside.mail_sender,
    "files": outside.files,
    "fonts": outside.fonts,
    "learning platform": outside.learning_platform,
    "access tokens": outside.access_tokens,
    "link secret": addresses.link_secret,
    "public address": addresses.public_address,
    "pages": addresses.pages,
    "left as delivered": addresses.left_as_delivered,
}
