"""Every knob of Registrar, read from the environment only.

Each part of the embedded sandbox gives way to the real one by one of these settings
(`DATABASE_URL`, `TEMPORAL_ADDRESS`, `SMTP_URL`, `STRIPE_API_KEY`, `FILES_URL`).
"""

from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Literal, Self, TypedDict

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class TemporalConnection(TypedDict):
    """How to reach Temporal."""

    address: str
    namespace: str
    api_key: str | None
    tls: bool
    give_up_after: float


class Settings(BaseSettings):
    """The configuration of one process. Secrets never appear in `repr` or logs."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    # Logs
    log_format: Literal["json", "text"] = Field(default="json", description="one JSON object a line, or for people")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # PostgreSQL
    database_url: SecretStr = Field(description="postgresql+asyncpg://… of the record")
    database_pool_size: int = Field(default=10, ge=1, le=200)

    # Temporal
    temporal_address: str = Field(default="127.0.0.1:7233", description="host:port of the Temporal frontend")
    temporal_namespace: str = Field(default="default", min_length=1)
    temporal_api_key: SecretStr | None = Field(default=None, description="Temporal Cloud API key; switches TLS on")
    temporal_tls: bool = False
    temporal_ui_url: str = Field(default="http://127.0.0.1:8233", description="base of links to the Temporal Web UI")
    temporal_connect_seconds: float = Field(default=60, gt=0, description="how long to keep trying to connect at boot")
    worker_build_id: str = Field(
        default=version("registrar"),
        min_length=1,
        description="the build under Worker Deployment Versioning; sleeping jobs stay with the build they began on",
    )
    worker_graceful_shutdown_seconds: float = Field(default=30, ge=0)
    worker_metrics_address: str | None = Field(
        default=None, description="host:port for the worker's Prometheus metrics"
    )

    # Stripe
    stripe_api_key: SecretStr = Field(
        description="sk_test_… or sk_live_…; the mode of the whole installation follows it"
    )
    stripe_api_base: str | None = Field(default=None, description="another base address than Stripe's, for the double")
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        description="whsec_… signing secrets, comma separated; several are valid while one is being rotated"
    )
    stripe_publishable_key: str = Field(
        default="pk_test_sandbox", description="handed to the browser with a client secret"
    )

    stripe_payment_method_types: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="what payers may pay with, in Stripe's words, comma separated (card,sepa_debit); empty leaves it to"
        " Stripe's Dashboard",
    )
    stripe_account_is_shared: bool = Field(
        default=False, description="whether others take payments with the account too: what names no order is theirs"
    )
    stripe_fee_percent_max: int = Field(
        default=10,
        ge=0,
        le=100,
        description="reconciliation asks about a fee of Stripe above this share of a payment and",
    )
    stripe_fee_fixed_max: int = Field(
        default=100, ge=0, description="so many minor units of the currency of the balance beside that"
    )

    # The learning platform
    provisioning_url: str | None = Field(
        default=None,
        description="where the platform is told of every new enrollment; unset, it reads them from the API",
    )
    provisioning_secret: SecretStr | None = Field(
        default=None, description="whsec_…, signs what is sent there (Standard Webhooks)"
    )

    # Mail
    smtp_url: SecretStr = Field(description="smtp://user:password@host:587 (STARTTLS when offered) or smtps://…")
    mail_from: str = Field(default="TutorHub Academy <academy@registrar.test>")
    mail_domain: str = Field(default="registrar.test", description="right side of every Message-ID")

    # Files
    files_url: str = Field(description="file:///path, s3://bucket/prefix, gs://… or az://…")

    # HTTP
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="where people reach the API; the payment page leads back there"
    )
    forwarded_allow_ips: str = Field(
        default="127.0.0.1,::1",
        min_length=1,
        description="the proxies whose `X-Forwarded-For` is believed: addresses and networks, comma separated",
    )
    slow_caller_seconds: float = Field(
        default=30,
        gt=0,
        allow_inf_nan=False,
        description="how long a caller may take for the head of a request, for each megabyte that its body may have,"
        " and to take in what was sent",
    )
    order_page_url: str | None = Field(
        default=None,
        description="the platform's page of an order, e.g. https://learn.example/orders/{order_id}; linked in mails",
    )
    application_page_url: str | None = Field(
        default=None,
        description="the platform's page of a tutor's application, e.g. https://learn.example/applications/{application_id};"
        " linked in mails",
    )
    lesson_page_url: str | None = Field(
        default=None,
        description="the platform's page of a lesson, e.g. https://learn.example/lessons/{lesson_id}; linked in mails",
    )
    link_secret: SecretStr | None = Field(
        default=None,
        description="signs the links of mails about carts, at least 32 bytes; without it there are no such mails",
    )
    cart_clock_speed: float = Field(
        default=1,
        ge=1,
        allow_inf_nan=False,
        description="how much faster carts grow old, for demonstrations on the Stripe double alone",
    )
    jwt_secret: SecretStr | None = Field(default=None, description="HS256 secret, at least 32 bytes")
    jwt_jwks_url: str | None = Field(default=None, description="or the JWKS of your identity provider (RS256, ES256)")
    jwt_audience: str = "registrar"
    jwt_issuer: str | None = None

    @field_validator("stripe_webhook_secrets", "stripe_payment_method_types", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("jwt_secret", "link_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError(f"{str(info.field_name).upper()} needs at least 32 bytes")
        return value

    @model_validator(mode="after")
    def _signed_provisioning(self) -> Self:
        if self.provisioning_url is not None and self.provisioning_secret is None:
            raise ValueError("PROVISIONING_URL needs PROVISIONING_SECRET")
        return self

    @model_validator(mode="after")
    def _real_time(self) -> Self:
        if self.cart_clock_speed != 1 and (self.is_live or self.stripe_api_base is None):
            raise ValueError("CART_CLOCK_SPEED is for demonstrations on the Stripe double alone")
        return self

    @property
    def temporal_connection(self) -> TemporalConnection:
        """What `workflows.connection.connect` wants to know."""
        return {
            "address": self.temporal_address,
            "namespace": self.temporal_namespace,
            "api_key": self.temporal_api_key.get_secret_value() if self.temporal_api_key else None,
            "tls": self.temporal_tls,
            "give_up_after": self.temporal_connect_seconds,
        }

    @property
    def job_page_url(self) -> str:
        """Where the Temporal Web UI shows a workflow, with `{workflow_id}` for its id."""
        return f"{self.temporal_ui_url.rstrip('/')}/namespaces/{self.temporal_namespace}/workflows/{{workflow_id}}"

    @property
    def is_live(self) -> bool:
        """Whether real money moves: decided by the Stripe key alone."""
        return self.stripe_api_key.get_secret_value().startswith(("sk_live_", "rk_live_"))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once. Raises `pydantic.ValidationError` naming what is missing."""
    return Settings()
