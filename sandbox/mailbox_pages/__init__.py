"""The mailbox's web page and its JSON twin."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.mail_faults import Faults
from sandbox.maildir import StoredMail

_FOLDER = Path(__file__).parent
_PER_PAGE = 100
_TEMPLATES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
_TEMPLATES.filters["media_size"] = lambda size: f"{size} bytes" if size < 1024 else f"{size / 1024:,.0f} KB"

# A mail brings its own styles and pictures, nothing else: no script, no form, no request to anywhere. Its links open in
# a window of their own, which is an ordinary one again.
_FRAME = "allow-popups allow-popups-to-escape-sandbox"
_MAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
    f"frame-ancestors 'self'; sandbox {_FRAME}"
)
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "frame-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Box(Protocol):
    """What the pages need to know of a mailbox."""

    faults: Faults

    def mails(self) -> list[StoredMail]:
        """All mails, the newest first."""

    def mail(self, key: str) -> StoredMail | None:
        """One mail by its key."""

    def clear(self) -> None:
        """Throw all mails away and mend all faults."""


def application(box: Box) -> Starlette:
    """The pages of this mailbox."""

    async def listing(request: Request) -> Response:
        mails = await asyncio.to_thread(box.mails)
        number = _page_number(request)
        shown = mails[(number - 1) * _PER_PAGE : number * _PER_PAGE]
        pages = max(1, -(-len(mails) // _PER_PAGE))
        # The page asks again every few seconds; mostly nothing has come since.
        etag = _etag(shown, len(mails))
        if request.headers.get("If-None-Match") == etag:
            return Response(status_code=304, headers={"ETag": etag})
        return _page("list.html.j2", {"ETag": etag}, mails=shown, total=len(mails), number=number, pages=pages)

    async def one(request: Request) -> Response:
        return _page("mail.html.j2", mail=await _mail_of(request), frame=_FRAME)

    async def html(request: Request) -> Response:
        mail = await _mail_of(request)
        headers = {"Content-Security-Policy": _MAIL_CSP, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(mail.html or "", headers=headers | {"Referrer-Policy": "no-referrer"})

    async def source(request: Request) -> Response:
        return Response(bytes((await _mail_of(request)).message), media_type="text/plain; charset=utf-8")

    async def attachment(request: Request) -> Response:
        files = (await _mail_of(request)).attachments
        if not 0 <= (index := request.path_params["index"]) < len(files):
            raise HTTPException(404, "This mail has no such attachment.")
        file = files[index]
        # Downloaded, never shown: an attachment shown from here could read the page.
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"}
        return Response(file.content, media_type=file.media_type, headers=headers | _PAGE_HEADERS)

    async def all_as_json(request: Request) -> Response:
        return JSONResponse([mail.as_json() for mail in await asyncio.to_thread(box.mails)])

    async def one_as_json(request: Request) -> Response:
        return JSONResponse((await _mail_of(request)).as_complete_json())

    async def clear(request: Request) -> Response:
        await asyncio.to_thread(box.clear)
        return Response(status_code=204)

    async def faults(request: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in box.faults.all()])

    async def add_fault(request: Request) -> Response:
        # Only a program can send this type: a page of some other site would have to ask first, and be refused.
        if request.headers.get("Content-Type") != "application/json":
            raise HTTPException(415, "Send a fault as application/json.")
        try:
            fault = box.faults.add_described(await request.json())
        except (ValueError, TypeError, AttributeError) as error:
            raise HTTPException(422, f"This is no fault: {error}") from error
        return JSONResponse(asdict(fault), status_code=201)

    async def clear_faults(request: Request) -> Response:
        box.faults.clear()
        return Response(status_code=204)

    async def _mail_of(request: Request) -> StoredMail:
        mail = await asyncio.to_thread(box.mail, request.path_params["key"])
        if mail is None:
            raise HTTPException(404, "There is no such mail; perhaps the mailbox has been emptied.")
        return mail

    return Starlette(
        routes=[
            Route("/", listing),
            Route("/mails/{key}", one),
            Route("/mails/{key}/html", html),
            Route("/mails/{key}/source", source),
            Route("/mails/{key}/attachments/{index:int}", attachment),
            Route("/api/messages", all_as_json),
            Route("/api/messages", clear, methods=["DELETE"]),
            Route("/api/messages/{key}", one_as_json),
            Route("/api/faults", faults),
            Route("/api/faults", add_fault, methods=["POST"]),
            Route("/api/faults", clear_faults, methods=["DELETE"]),
            Mount("/static", StaticFiles(directory=_FOLDER / "static")),
        ],
        exception_handlers={HTTPException: _problem},
    )


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": error.detail}, status_code=error.status_code)
    return _page("problem.html.j2", status=error.status_code, detail=error.detail)


def _page(template: str, headers: dict[str, str] | None = None, status: int = 200, **facts: object) -> Response:
    body = _TEMPLATES.get_template(template).render(facts)
    return HTMLResponse(body, status_code=status, headers=_PAGE_HEADERS | (headers or {}))


def _page_number(request: Request) -> int:
    asked = request.query_params.get("page", "1")
    return max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1


def _etag(shown: Sequence[StoredMail], total: int) -> str:
    digest = hashlib.sha256("\n".join([str(total), *(mail.key for mail in shown)]).encode()).hexdigest()
    return f'"{digest[:20]}"'
