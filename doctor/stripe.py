"""Stripe: the key, the mode, the webhook endpoint, and whether the account is ours alone."""

import stripe

from activities.stripe import open_stripe
from activities.stripe_errors import as_failure
from activities.stripe_events import OF_INTEREST
from doctor.examination import Patient, Result, ok, warning, wrong
from settings import Settings

_LOOKED_AT = 20
_PATH = "/v1/webhooks/stripe"


async def key(patient: Patient) -> Result:
    """Whether Stripe takes STRIPE_API_KEY."""
    try:
        await _client(patient.settings).v1.payment_intents.list_async({"limit": 1})
    except stripe.AuthenticationError:
        return wrong("Stripe refuses the key", "Set STRIPE_API_KEY to a key of the Dashboard that is not revoked.")
    except stripe.PermissionError:
        return wrong(
            "the key may not read payments", "Give the restricted key the rights that docs/production.md lists."
        )
    except stripe.StripeError as error:
        return wrong(f"Stripe does not answer ({as_failure(error).type})", "See status.stripe.com and your network.")
    return ok(f"{_mode(patient.settings)} mode{', of a double' if patient.settings.stripe_api_base else ''}")


async def modes(patient: Patient) -> Result:
    """Whether all that comes from Stripe is of one mode, and nothing of the sandbox is left in a live installation."""
    settings = patient.settings
    public = "live" if settings.stripe_publishable_key.startswith("pk_live_") else "test"
    if public != _mode(settings):
        return wrong(
            f"STRIPE_API_KEY is of {_mode(settings)} mode, STRIPE_PUBLISHABLE_KEY of {public} mode",
            "Take both from the same page of the Dashboard.",
        )
    if settings.is_live and settings.stripe_api_base is not None:
        return wrong("a live key is sent to another address than Stripe's", "Unset STRIPE_API_BASE.")
    return ok(f"both keys are of {public} mode")


async def webhooks(patient: Patient) -> Result:
    """Whether Stripe tells our address of every event that we want."""
    settings = patient.settings
    ours = f"{settings.public_url.rstrip('/')}{_PATH}"
    try:
        listed = await _client(settings).v1.webhook_endpoints.list_async({"limit": 100})
    except stripe.PermissionError:
        return warning("the key may not read endpoints", f"See in the Dashboard that there is one for {ours}.")
    except stripe.StripeError as error:
        return wrong(f"not checked ({as_failure(error).type})", "Mend the key first.")
    here = [endpoint for endpoint in listed.data if endpoint.url == ours]
    if len(here) == 1:
        return _endpoint(here[0], settings)
    if here:
        return warning(f"{len(here)} endpoints for {ours}", "Remove all but one.")
    return wrong(f"no endpoint for {ours}", "Make one in the Dashboard with the events that docs/production.md lists.")


def _endpoint(endpoint: stripe.WebhookEndpoint, settings: Settings) -> Result:
    if endpoint.status != "enabled":
        return wrong("the endpoint is disabled", "Enable it in the Dashboard.")
    if endpoint.livemode != settings.is_live:
        return wrong("the endpoint is of the other mode", "Make one in the mode of STRIPE_API_KEY.")
    told = set(endpoint.enabled_events)
    missing = sorted(OF_INTEREST - told) if "*" not in told else []
    if missing:
        return wrong(f"does not send {', '.join(missing)}", "Add these events to the endpoint.")
    return ok(f"sends all {len(OF_INTEREST)} events to {endpoint.url}")


async def webhook_secrets(patient: Patient) -> Result:
    """Whether what webhooks are verified with looks like Stripe's secrets."""
    secrets = [secret.get_secret_value() for secret in patient.settings.stripe_webhook_secrets]
    if not secrets:
        return wrong("none", "Set STRIPE_WEBHOOK_SECRETS to the signing secret of the endpoint.")
    strange = sum(not secret.startswith("whsec_") for secret in secrets)
    if strange:
        return wrong(
            f"{strange} of {len(secrets)} do not begin with whsec_", "Copy the signing secret of the endpoint."
        )
    if len(secrets) > 1:
        return warning(f"{len(secrets)} are valid", "Take the old one away when it has expired at Stripe.")
    return ok("one, which only a webhook can prove")


async def account(patient: Patient) -> Result:
    """Whether others take payments with the account although it is said to be ours alone."""
    if patient.settings.stripe_account_is_shared:
        return ok("shared: what names no order is left alone")
    try:
        listed = await _client(patient.settings).v1.payment_intents.list_async({"limit": _LOOKED_AT})
    except stripe.StripeError as error:
        return wrong(f"not checked ({as_failure(error).type})", "Mend the key first.")
    foreign = sum(intent.status == "succeeded" and "order_id" not in (intent.metadata or {}) for intent in listed.data)
    if foreign:
        return warning(
            f"{foreign} of the last {len(listed.data)} payments name no order",
            "If another system takes them, set STRIPE_ACCOUNT_IS_SHARED=true; else each of them has a task.",
        )
    return ok("ours alone, as far as its last payments tell")


def _client(settings: Settings) -> stripe.StripeClient:
    return open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)


def _mode(settings: Settings) -> str:
    return "live" if settings.is_live else "test"
