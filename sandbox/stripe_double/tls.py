"""The TLS context of outgoing requests, made once: loading the certificates is the slowest part of a start."""

import ssl
from functools import cache

import httpx


@cache
def tls_context() -> ssl.SSLContext:
    """Verifies certificates as httpx does by default."""
    return httpx.create_ssl_context()
