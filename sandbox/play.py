"""The player of the demo: a caller of the HTTP API that says aloud what it does and measures it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table

from models.vocabulary import Role
from routes.tokens import issue_token
from sandbox.sample_academy import read_academy, sample_id
from sandbox.stack import Stack
from settings import Settings

Json = dict[str, Any]
_PATIENCE_SECONDS = 60


@dataclass
class Scene:
    """One job as it was played."""

    title: str
    perform: "Callable[[Player, Scene], Awaitable[None]]"
    workflow_id: str | None = None
    state: str = "not played"
    seconds: float = 0
    to_open: str | None = None
    facts: Json = field(default_factory=dict)

    def as_json(self) -> Json:
        """For `summary.json`."""
        return {key: value for key, value in asdict(self).items() if key != "perform"}


class Player:
    """Speaks HTTP to a running stack: as a student, as staff, as a browser on Stripe's page."""

    def __init__(self, stack: Stack, console: Console, http: httpx.AsyncClient) -> None:
        self._stack, self._console, self._http = stack, console, http
        self._settings = Settings.model_validate({key.lower(): value for key, value in stack.environment.items()})
        self.current = "starting"
        self.scenes: list[Scene] = []

    @classmethod
    @asynccontextmanager
    async def on(cls, stack: Stack, console: Console) -> AsyncIterator[Self]:
        """A player on this stack."""
        async with httpx.AsyncClient(base_url=stack.endpoints.api, timeout=30) as http:
            yield cls(stack, console, http)

    async def play(self, scene: Scene) -> None:
        """Play one scene. Raises what went wrong, with `current` naming the step."""
        self._console.print(f"\n[bold]{scene.title}[/]")
        started = time.monotonic()
        await scene.perform(self, scene)
        scene.seconds = time.monotonic() - started
        self.scenes.append(scene)

    def say(self, what: str) -> None:
        """Tell the audience."""
        self.current = what
        self._console.print(f"  · {what}", highlight=False)

    def show(self, table: Table) -> None:
        """Let the audience read something."""
        self._console.print(table)

    @property
    def settings(self) -> Settings:
        """Of the stack."""
        return self._settings

    @property
    def home(self) -> Path:
        """Where the stack keeps its data, and people find what was played."""
        return self._stack.home

    async def download(self, path: str, caller: str, role: Role = Role.STUDENT) -> bytes:
        """A file, as this sample person. Raises `httpx.HTTPStatusError` if it is refused."""
        return (await self._http.get(path, headers=self._as(caller, role))).raise_for_status().content

    async def get(self, path: str, caller: str, role: Role = Role.STUDENT) -> Json:
        """Read something as this sample person."""
        answer = await self._http.get(path, headers=self._as(caller, role))
        answer.raise_for_status()
        body: Json = answer.json()
        return body

    async def put(self, path: str, body: Json, caller: str, role: Role = Role.STUDENT) -> Json:
        """Set something as this sample person, or as a service of this name."""
        answer = await self._http.put(path, json=body, headers=self._as(caller, role))
        answer.raise_for_status()
        changed: Json = answer.json()
        return changed

    async def post(self, path: str, body: Json, caller: str, role: Role = Role.STUDENT) -> httpx.Response:
        """Ask for something as this sample person. Raises `httpx.HTTPStatusError` if it is refused."""
        return (await self.ask(path, body, caller, role)).raise_for_status()

    async def ask(self, path: str, body: Json, caller: str, role: Role = Role.STUDENT) -> httpx.Response:
        """Ask for something that may be refused."""
        headers = {**self._as(caller, role), "Idempotency-Key": uuid4().hex}
        return await self._http.post(path, json=body, headers=headers)

    async def patch(self, path: str, body: Json, caller: str) -> httpx.Response:
        """Change something as this sample person. Raises `httpx.HTTPStatusError` if it is refused."""
        return (await self._http.patch(path, json=body, headers=self._as(caller))).raise_for_status()

    async def upload(self, path: str, fields: Json, file: tuple[str, bytes], caller: str) -> httpx.Response:
        """Send a form with a file, given by name and content. Raises `httpx.HTTPStatusError` if it is refused."""
        answer = await self._http.post(path, data=fields, files={"file": file}, headers=self._as(caller))
        return answer.raise_for_status()

    async def order(
        self, caller: str, code: str, *, slot_ids: Sequence[str] = (), method: str = "checkout", **more: str
    ) -> httpx.Response:
        """Order a sample course as this sample person."""
        line = {"course_id": str(sample_id("course", code)), "slot_ids": list(slot_ids)}
        body = {"lines": [line], "payment_method": method, **more}
        headers = {**self._as(caller), "Idempotency-Key": uuid4().hex}
        return await self._http.post("/v1/orders", json=body, headers=headers)

    async def pay_on_page(self, url: str, card: str) -> httpx.Response:
        """Fill in the hosted payment page and follow it back to the academy."""
        async with httpx.AsyncClient(follow_redirects=True, timeout=30) as browser:
            page = await browser.get(url)
            page.raise_for_status()
            return await browser.post(url, data={"card_number": card})

    async def confirm_intent(self, order: Json, payment_method: str) -> httpx.Response:
        """Confirm a PaymentIntent with its client secret, as Stripe's script in the browser does."""
        payment = order["payment"]
        intent = payment["client_secret"].split("_secret")[0]
        async with httpx.AsyncClient(base_url=self._stack.endpoints.stripe or "https://api.stripe.com") as browser:
            return await browser.post(
                f"/v1/payment_intents/{intent}/confirm",
                data={"client_secret": payment["client_secret"], "payment_method": payment_method},
                headers={"Authorization": f"Bearer {payment['publishable_key']}"},
            )

    async def answer_bank(self, url: str, outcome: str) -> httpx.Response:
        """Confirm (`complete`) or refuse (`fail`) the payment on the bank's page."""
        async with httpx.AsyncClient(follow_redirects=True, timeout=30) as browser:
            return await browser.post(url, data={"outcome": outcome})

    async def order_is(self, order_id: str, status: str, caller: str, role: Role = Role.STUDENT) -> Json:
        """Wait until the order has this status and, if completed, its receipt."""
        done = status == "completed"
        return await self._until(
            order_id, caller, lambda order: order["status"] == status, status, role, with_receipt=done
        )

    async def payment_is(self, order_id: str, status: str, caller: str) -> Json:
        """Wait until Stripe's word for the payment is known here."""
        return await self._until(order_id, caller, lambda order: order["payment"]["status"] == status, status)

    async def payment_rests(self, order_id: str, caller: str) -> Json:
        """Wait until no payment is possible for a while."""
        return await self._until(order_id, caller, lambda order: order["payment"]["resting_until"], "resting")

    async def payable(self, order_id: str, caller: str) -> Json:
        """Wait until there is a page to pay on."""
        return await self._until(
            order_id, caller, lambda order: order["payment"] and order["payment"]["checkout_url"], "payable"
        )

    async def mailed(self, order: Json, times: int = 1) -> None:
        """Wait until so many mails about the order have arrived, where the mailbox is ours to look into."""
        mailbox = self._stack.endpoints.mailbox
        if not mailbox:
            return
        deadline = time.monotonic() + _PATIENCE_SECONDS
        async with httpx.AsyncClient(base_url=mailbox) as http:
            while sum(order["number"] in mail["headers"]["Subject"] for mail in await _mails(http)) < times:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not {times} mails about order {order['number']} after a minute")
                await asyncio.sleep(0.1)

    async def told_of_application(self, application_id: str, applicant: str, times: int) -> None:
        """Wait until so many mails about it have arrived, at the applicant's address or naming its job."""
        mailbox = self._stack.endpoints.mailbox
        if not mailbox:
            return
        address = next(person.email for person in read_academy().people if person.key == applicant)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        async with httpx.AsyncClient(base_url=mailbox) as http:
            while (
                sum(address in mail["headers"]["To"] or application_id in mail["text"] for mail in await _mails(http))
                < times
            ):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not {times} mails about application {application_id} after a minute")
                await asyncio.sleep(0.1)

    async def told_of(self, words: str, reader: str, times: int = 1) -> None:
        """Wait until the sample person has got so many mails with these words, where the mailbox is ours."""
        mailbox = self._stack.endpoints.mailbox
        if not mailbox:
            return
        address = next(person.email for person in read_academy().people if person.key == reader)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        async with httpx.AsyncClient(base_url=mailbox) as http:
            while sum(address in mail["envelope_to"] and words in mail["text"] for mail in await _mails(http)) < times:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not {times} mails to {reader} that say “{words}” after a minute")
                await asyncio.sleep(0.1)

    async def certificate_is_rendered(self, enrollment_id: str, caller: str) -> Json:
        """Wait until the enrollment has a certificate, and its PDF is there."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            found = (await self.get(f"/v1/certificates?enrollment_id={enrollment_id}", caller))["items"]
            if found and found[0]["is_rendered"]:
                certificate: Json = found[0]
                return certificate
            if time.monotonic() > deadline:
                raise TimeoutError("there is no certificate after a minute")
            await asyncio.sleep(0.1)

    async def mail_to(self, address: str) -> Json:
        """Wait until a mail to this address has arrived. Raises `LookupError` where the mailbox is not ours."""
        mailbox = self._stack.endpoints.mailbox
        if not mailbox:
            raise LookupError("SMTP_URL leads elsewhere, so nobody here can read the mail")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        async with httpx.AsyncClient(base_url=mailbox) as http:
            while True:
                for mail in await _mails(http):
                    if address in mail["envelope_to"]:
                        return mail
                if time.monotonic() > deadline:
                    raise TimeoutError("no mail has arrived after a minute")
                await asyncio.sleep(0.1)

    async def cart_is(self, cart_id: str, status: str) -> Json:
        """Wait until the cart has this status, as staff sees it."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            cart = await self.get(f"/v1/carts/{cart_id}", "support", Role.STAFF)
            if cart["status"] == status:
                return cart
            if time.monotonic() > deadline:
                raise TimeoutError(f"the cart is {cart['status']}, not {status}, after a minute")
            await asyncio.sleep(0.1)

    async def cascade_is_done(self, cascade_id: str, caller: str) -> Json:
        """Wait until all places of the cascade have ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            cascade = await self.get(f"/v1/cascades/{cascade_id}", caller, Role.STAFF)
            if cascade["status"] == "done":
                return cascade
            if time.monotonic() > deadline:
                raise TimeoutError(f"{cascade['left']} of {cascade['total']} places are left after a minute")
            await asyncio.sleep(0.1)

    async def application_is(self, path: str, status: str, caller: str) -> Json:
        """Wait until the application at this path has this status."""
        return await self._application(path, lambda seen: seen["status"] == status, status, caller, Role.STUDENT)

    async def review_is(self, path: str, kind: str) -> Json:
        """Wait until a task of this kind asks the reviewers about the application, and read it as one of them."""
        return await self._application(
            path, lambda seen: seen["review"]["task_kind"] == kind, f"waiting for {kind}", "lead", Role.STAFF
        )

    async def _application(self, path: str, met: Callable[[Json], bool], what: str, caller: str, role: Role) -> Json:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            seen = await self.get(path, caller, role)
            if met(seen):
                return seen
            if time.monotonic() > deadline:
                raise TimeoutError(f"the application is {seen['status']}, not {what}, after a minute")
            await asyncio.sleep(0.1)

    async def _until(
        self,
        order_id: str,
        caller: str,
        met: Callable[[Json], object],
        what: str,
        role: Role = Role.STUDENT,
        *,
        with_receipt: bool = False,
    ) -> Json:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            order = await self.get(f"/v1/orders/{order_id}", caller, role)
            if met(order) and (not with_receipt or await self._has_receipt(order, caller, role)):
                return order
            if time.monotonic() > deadline:
                raise TimeoutError(f"order {order['number']} is {order['status']}, not {what}, after a minute")
            await asyncio.sleep(0.1)

    async def receipt(self, order_id: str, caller: str, role: Role) -> bytes:
        """The PDF."""
        answer = await self._http.get(f"/v1/orders/{order_id}/receipt.pdf", headers=self._as(caller, role))
        answer.raise_for_status()
        return answer.content

    def kill_worker(self) -> None:
        """kill -9, as a crash would."""
        self._stack.supervisor.kill("worker")

    def link(self, workflow_id: str) -> str:
        """Where the Web UI shows a workflow."""
        return f"{self._stack.endpoints.temporal_ui}/namespaces/default/workflows/{workflow_id}"

    async def collect(self, home: Path) -> None:
        """Put the receipts, decision records, certificates and mails where people find them."""
        self.current = "collecting receipts, decision records, certificates and mails"
        for folder in ("receipts", "records", "certificates"):
            (home / folder).mkdir(exist_ok=True)
        for scene in self.scenes:
            if "order_id" in scene.facts:
                pdf = await self.receipt(scene.facts["order_id"], scene.facts["caller"], Role(scene.facts["role"]))
                (home / "receipts" / f"{scene.facts['number']}.pdf").write_bytes(pdf)
            if "application_id" in scene.facts:
                application_id = scene.facts["application_id"]
                path = f"/v1/tutor-applications/{application_id}/decision-record.pdf"
                answer = await self._http.get(path, headers=self._as("lead", Role.STAFF))
                (home / str(scene.to_open)).write_bytes(answer.raise_for_status().content)
            if "certificate_id" in scene.facts:
                path = f"/v1/certificates/{scene.facts['certificate_id']}.pdf"
                answer = await self._http.get(path, headers=self._as(scene.facts["caller"]))
                (home / str(scene.to_open)).write_bytes(answer.raise_for_status().content)
        if self._stack.endpoints.mailbox:
            await self._collect_mails(home / "mails", self._stack.endpoints.mailbox)

    async def _collect_mails(self, folder: Path, mailbox: str) -> None:
        folder.mkdir(exist_ok=True)
        expected = sum("order_id" in scene.facts for scene in self.scenes)
        async with httpx.AsyncClient(base_url=mailbox) as http:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while len(mails := await _mails(http)) < expected:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(mails)} of {expected} mails arrived")
                await asyncio.sleep(0.1)
            for number, mail in enumerate(reversed(mails), start=1):
                html = (await http.get(f"/mails/{mail['key']}/html")).content
                (folder / f"{number:02d}.html").write_bytes(html)
                (folder / f"{number:02d}.txt").write_text(f"Subject: {mail['headers']['Subject']}\n\n{mail['text']}")

    async def _has_receipt(self, order: Json, caller: str, role: Role) -> bool:
        path = f"/v1/orders/{order['id']}/receipt.pdf"
        answer = await self._http.get(path, headers=self._as(caller, role))
        return answer.status_code == 200

    def _as(self, caller: str, role: Role = Role.STUDENT) -> dict[str, str]:
        token = issue_token(self._settings, str(sample_id("person", caller)), (role,), timedelta(minutes=10))
        return {"Authorization": f"Bearer {token}"}


async def _mails(mailbox: httpx.AsyncClient) -> list[Json]:
    mails: list[Json] = (await mailbox.get("/api/messages")).json()
    return mails
