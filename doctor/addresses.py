"""The settings that nobody but a reader of mails notices: addresses, placeholders, the secret of links."""

from urllib.parse import urlsplit

from doctor.examination import Patient, Result, ok, warning, wrong
from settings import Settings

_PLACEHOLDERS = {
    "ORDER_PAGE_URL": "{order_id}",
    "APPLICATION_PAGE_URL": "{application_id}",
    "LESSON_PAGE_URL": "{lesson_id}",
}
_OF_THE_SANDBOX = ("public_url", "temporal_ui_url", "mail_from", "mail_domain", "stripe_publishable_key")


async def public_address(patient: Patient) -> Result:
    """Whether people reach us under PUBLIC_URL, as far as its form tells."""
    parts = urlsplit(patient.settings.public_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return wrong("PUBLIC_URL is no web address", "Set it to where people reach the API, https://….")
    if parts.scheme != "https":
        mend = "Use https: payment pages and the button that unsubscribes want it."
        return (
            wrong("PUBLIC_URL is not encrypted", mend) if patient.settings.is_live else warning("not encrypted", mend)
        )
    return ok(patient.settings.public_url)


async def pages(patient: Patient) -> Result:
    """Whether the addresses of your pages have the placeholder of what they are about."""
    addresses = {name: getattr(patient.settings, name.lower()) for name in _PLACEHOLDERS}
    without = sorted(name for name, url in addresses.items() if url is not None and _PLACEHOLDERS[name] not in url)
    if without:
        [first, *_] = without
        return wrong(f"no placeholder in {', '.join(without)}", f"Put {_PLACEHOLDERS[first]} where the id belongs.")
    unset = sorted(name for name, url in addresses.items() if url is None)
    if unset:
        return warning(f"mails have no links, for want of {', '.join(unset)}", "Set them to pages of your platform.")
    return ok("all are set")


async def link_secret(patient: Patient) -> Result:
    """Whether links in mails can be signed, with a secret of their own."""
    secret, tokens = patient.settings.link_secret, patient.settings.jwt_secret
    if secret is None:
        return warning(
            "LINK_SECRET is not set: no mails about carts, no links to download", "Set 32 random bytes or more."
        )
    if tokens is not None and secret.get_secret_value() == tokens.get_secret_value():
        return wrong("LINK_SECRET is the JWT_SECRET", "Give each of them a secret of its own.")
    return ok("set")


async def left_as_delivered(patient: Patient) -> Result:
    """Whether something that suits the sandbox alone is left in a live installation."""
    left = [
        name.upper()
        for name in _OF_THE_SANDBOX
        if getattr(patient.settings, name) == Settings.model_fields[name].get_default()
    ]
    if left and patient.settings.is_live:
        return wrong(f"still as in the sandbox: {', '.join(left)}", "Set them; docs/production.md says to what.")
    return ok(f"{len(left)} as in the sandbox, which suits test mode" if left else "nothing")
