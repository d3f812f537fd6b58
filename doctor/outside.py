"""The mail server, the file store, the fonts, the learning platform and the identity provider."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import jwt
from aiosmtplib import SMTPException, SMTPResponseException
from standardwebhooks import Webhook

from activities.files import FileStore
from activities.fonts import BOLD, REGULAR, family_typeface, typeface_for
from activities.mail import SmtpSettings
from doctor.examination import Patient, Result, ok, warning, wrong
from models.canvas import FontFamily
from settings import Settings

# A letter of each script that names of people are likely to come in, and one that only the Chinese font has.
_LETTERS = "aßłжΩعבहไ漢字かな한"
_RESERVED = (".test", ".example", ".invalid", ".localhost", "example.com", "example.org", "example.net")


async def mail_server(patient: Patient) -> Result:
    """Whether the mail server greets us, encrypts and lets us in. No mail is sent."""
    try:
        smtp = smtp_settings(patient.settings)
    except ValueError:
        return wrong("SMTP_URL or MAIL_FROM cannot be read", "See their forms in docs/production.md.")
    client = smtp.client()
    try:
        await client.connect()
        encrypted = client.transport is not None and client.transport.get_extra_info("ssl_object") is not None
        await client.quit()
    except SMTPResponseException as error:
        return wrong(f"answered {error.code}", "Check user and password in SMTP_URL, and what the server allows.")
    except (SMTPException, OSError) as error:
        return wrong(
            f"cannot be used ({type(error).__name__})",
            "Check host and port in SMTP_URL; with a password the server must offer STARTTLS, or take smtps://.",
        )
    finally:
        client.close()
    signed_in = ", signed in" if smtp.username is not None else ""
    if not encrypted and not smtp.is_here:
        return warning(f"{smtp.host}, without encryption{signed_in}", "Let the server offer STARTTLS.")
    return ok(f"{smtp.host}{', encrypted' if encrypted else ''}{signed_in}")


async def mail_sender(patient: Patient) -> Result:
    """Whether mails can come from the domain of MAIL_FROM."""
    try:
        domain = smtp_settings(patient.settings).sender.domain
    except ValueError:
        return wrong("MAIL_FROM is no address", "Set it to Name <address>.")
    for name, value in (("MAIL_FROM", domain), ("MAIL_DOMAIN", patient.settings.mail_domain)):
        if "." not in value or value.endswith(_RESERVED):
            mend = f"Set {name} to a domain of yours, with SPF, DKIM and DMARC."
            found = f"{name} has {value}, which no mail can come from"
            return wrong(found, mend) if patient.settings.is_live else warning(found, mend)
    return ok(f"from {domain}")


async def files(patient: Patient) -> Result:
    """Whether a file can be written, read and deleted again."""
    key, data = f"doctor/{uuid4()}", uuid4().bytes
    try:
        store = FileStore(patient.settings.files_url)
        await store.put(key, data, "application/octet-stream")
        try:
            same = await store.get(key) == data
        finally:
            await store.delete(key)
    except Exception as error:  # noqa: BLE001 - each store has errors of its own
        return wrong(
            f"cannot be used ({type(error).__name__})",
            "Check FILES_URL, its credentials, and that it may be written to.",
        )
    if not same:
        return wrong("what was written is not what was read", "Look for what changes files in the store.")
    return ok("a file was written, read and deleted")


async def fonts(_patient: Patient) -> Result:
    """Whether documents can be set in every family and script."""

    def missing() -> list[str]:
        for family in FontFamily:
            for weight in (REGULAR, BOLD):
                family_typeface(family, weight).shaper  # noqa: B018 - opens the file
        return [letter for letter in _LETTERS if not typeface_for(letter, REGULAR, "zh-Hans").has(letter)]

    try:
        lacking = await asyncio.to_thread(missing)
    except (OSError, ModuleNotFoundError) as error:
        return wrong(f"a font is missing ({type(error).__name__})", "Install Registrar again with all its packages.")
    if lacking:
        return wrong(f"no font has {' '.join(lacking)}", "Install Registrar again with all its packages.")
    return ok(f"{len(FontFamily)} families, {len(_LETTERS)} scripts tried")


async def learning_platform(patient: Patient) -> Result:
    """Whether what is sent to the platform can be signed; nothing is sent."""
    url, secret = patient.settings.provisioning_url, patient.settings.provisioning_secret
    if url is None or secret is None:
        return ok("not told: it reads enrollments from the API")
    try:
        Webhook(secret.get_secret_value())
    except (ValueError, RuntimeError):
        return wrong("PROVISIONING_SECRET cannot sign", "Make one as docs/production.md says, after Learning platform.")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return wrong("PROVISIONING_URL is no web address", "Set it to https://….")
    if parts.scheme == "http" and patient.settings.is_live:
        return warning("told without encryption", "Use https in PROVISIONING_URL.")
    return ok(f"{parts.hostname} is told, signed")


async def access_tokens(patient: Patient) -> Result:
    """Whether access tokens can be verified."""
    settings = patient.settings
    if settings.jwt_jwks_url is None:
        if settings.jwt_secret is None:
            return wrong(
                "neither JWT_SECRET nor JWT_JWKS_URL is set", "Set one of them; the API does not start without."
            )
        return ok("signed with JWT_SECRET")
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            keys = jwt.PyJWKSet.from_dict((await client.get(settings.jwt_jwks_url)).raise_for_status().json()).keys
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, jwt.PyJWTError) as error:
        return wrong(
            f"JWT_JWKS_URL gives no keys ({type(error).__name__})", "Open the address; it must answer a key set."
        )
    if not any(key.key_type in {"RSA", "EC"} for key in keys):
        return wrong("no key for RS256 or ES256", "Let the identity provider sign with one of these.")
    if settings.jwt_secret is not None:
        return warning(f"{len(keys)} keys; JWT_SECRET is not used", "Unset JWT_SECRET.")
    return ok(f"{len(keys)} keys of the identity provider")


def smtp_settings(settings: Settings) -> SmtpSettings:
    """As the worker reads them. Raises `ValueError`."""
    return SmtpSettings.from_url(settings.smtp_url.get_secret_value(), settings.mail_from, settings.mail_domain)
