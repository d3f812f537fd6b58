"""The double as a program of its own: what it prints, what it remembers, how it ends, how fast it is."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

KEY = {"authorization": "Bearer sk_test_mine"}


@contextmanager
def program(data: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The running program and the address it printed."""
    command = [sys.executable, "-m", "sandbox.stripe_double", "--data", str(data), "--api-key", "sk_test_mine"]
    command += [
        "--publishable-key",
        "pk_test_mine",
        "--webhook-url",
        "http://127.0.0.1:9/",
        "--webhook-secret",
        "whsec_1",
    ]
    command += ["--public-url", "https://pay.example/"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("stripe double listening on http://127.0.0.1:")
        yield line.split()[-1], process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_everything_is_remembered_across_a_stop_and_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "stripe.db"
    form = {"amount": "2000", "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"}
    headers = KEY | {"idempotency-key": "k-1"}
    with program(data) as (url, process):
        first = httpx.post(f"{url}/v1/payment_intents", data=form, headers=headers)
        session = {
            "mode": "payment",
            "success_url": "https://shop.example/",
            "line_items[0][price_data][currency]": "eur",
        }
        session |= {
            "line_items[0][price_data][unit_amount]": "900",
            "line_items[0][price_data][product_data][name]": "A",
        }
        opened = httpx.post(f"{url}/v1/checkout/sessions", data=session, headers=KEY).json()
        assert opened["url"] == f"https://pay.example/c/pay/{opened['id']}"
        httpx.post(f"{url}/_control/clock", json={"advance_seconds": 100})
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    with program(data) as (url, process):
        again = httpx.post(f"{url}/v1/payment_intents", data=form, headers=headers)
        assert again.content == first.content
        assert again.headers["idempotent-replayed"] == "true"
        assert httpx.get(f"{url}/_control/clock").json()["offset_seconds"] == 100
        second = httpx.post(f"{url}/v1/payment_intents", data=form, headers=KEY).json()
        process.kill()
        process.wait()
    with program(data) as (url, _):
        listed = httpx.get(f"{url}/v1/payment_intents", headers=KEY).json()["data"]
        assert [each["id"] for each in listed] == [second["id"], first.json()["id"]]
        assert httpx.get(f"{url}/_control/health").json()["status"] == "ok"


def test_it_is_fast_enough_to_stand_behind_a_benchmark(tmp_path: Path) -> None:
    with program(tmp_path / "stripe.db") as (url, _), httpx.Client(base_url=url, headers=KEY) as client:
        httpx.patch(f"{url}/_control/webhooks", json={"paused": True})
        started = time.perf_counter()
        for number in range(100):
            answer = client.post("/v1/payment_intents", data={"amount": str(500 + number), "currency": "eur"})
            assert answer.status_code == 200
        # One caller, one request at a time, a loaded machine: far below what it does, far above a stall.
        assert time.perf_counter() - started < 10
