"""Errors in the form Stripe answers them: a status and an ``error`` object with type, code, message and parameter."""

from typing import Any

Json = dict[str, Any]

DOCS = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """One refused request.

    ``before_execution`` marks a refusal that came before anything ran: Stripe does not keep such an answer under the
    idempotency key, so a corrected request may reuse it. ``keeps_effects`` marks the opposite case, a declined card,
    where the answer is an error and the payment attempt still happened and must be stored.
    """

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        extra: Json | None = None,
        before_execution: bool = False,
        keeps_effects: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.code = code
        self.param = param
        self.extra = extra or {}
        self.before_execution = before_execution
        self.keeps_effects = keeps_effects

    def body(self) -> Json:
        """The JSON document of the answer."""
        error: Json = {"message": self.message, "type": self.error_type}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = DOCS + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        error.update(self.extra)
        return {"error": error}


def invalid(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> StripeError:
    """A request whose parameters are wrong in themselves; nothing was executed."""
    return StripeError(status, "invalid_request_error", message, code=code, param=param, before_execution=True)


def unknown_parameter(param: str) -> StripeError:
    """A parameter the endpoint does not have."""
    return invalid(f"Received unknown parameter: {param}", param=param, code="parameter_unknown")


def missing_parameter(param: str) -> StripeError:
    """A parameter the endpoint cannot do without."""
    return invalid(f"Missing required param: {param}.", param=param, code="parameter_missing")


def missing_resource(kind: str, identifier: str, param: str) -> StripeError:
    """An identifier nobody knows: 404 when it is the object asked for, as Stripe does also for referenced objects."""
    return StripeError(
        404 if param in {"id", "intent", "session"} else 400,
        "invalid_request_error",
        f"No such {kind}: '{identifier}'",
        code="resource_missing",
        param=param,
    )


def refused(
    message: str, *, code: str | None = None, param: str | None = None, extra: Json | None = None
) -> StripeError:
    """A well-formed request the state of the account does not allow."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param, extra=extra)


def unauthorized(message: str, *, code: str | None = None) -> StripeError:
    """A missing, malformed or wrong API key."""
    return StripeError(401, "invalid_request_error", message, code=code, before_execution=True)


def unknown_url(method: str, path: str) -> StripeError:
    """A URL this API does not have."""
    return invalid(
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
        status=404,
    )


def server_error(status: int) -> StripeError:
    """A failure on Stripe's side, as an injected fault answers it."""
    if status == 429:
        return StripeError(
            429,
            "invalid_request_error",
            "Request rate limit exceeded. You can learn more about rate limits here "
            "https://stripe.com/docs/rate-limits.",
            code="rate_limit",
            before_execution=True,
        )
    return StripeError(status, "api_error", "An unknown error occurred", before_execution=True)
