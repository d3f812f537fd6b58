"""The few public pages: one style, no script, in the languages of the mails."""

import base64
import hashlib
import re
from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from activities.translations import Texts, languages, texts_for
from models.errors import Reason
from routes.documentation import Responses
from routes.problems import KINDS

PAGE: Responses = {
    200: {
        "description": "The page",
        "content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}},
    }
}

_FOLDER = Path(__file__).resolve().parent.parent / "templates" / "pages"
_STYLE = (_FOLDER / "page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_FIRST_TAGS = 5


def refusal_pages(*reasons: Reason) -> Responses:
    """The OpenAPI responses of a page that may refuse for these reasons: a person gets a page of that, too."""
    told: dict[int, list[str]] = {}
    for reason in reasons:
        told.setdefault(int(KINDS[reason].status), []).append(f"`{reason}`")
    return {
        status: {
            "description": f"A page that says so: {', '.join(words)}",
            "content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}},
        }
        for status, words in told.items()
    }


def page(template: str, *, status: int = HTTPStatus.OK, form_action: str = "'none'", **values: object) -> HTMLResponse:
    """A page of `templates/pages/`. `form_action` is where its form may lead, in the words of a security policy."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action {form_action};"
        " frame-ancestors 'none'"
    )
    return HTMLResponse(
        _TEMPLATES.get_template(template).render(style=_STYLE, **values),
        status_code=status,
        headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"},
    )


def note(
    texts: Texts,
    subject: str,
    *,
    status: int = HTTPStatus.OK,
    action: str | None = None,
    button: str | None = None,
    **values: str,
) -> HTMLResponse:
    """A page of a few words, and one button if it has an `action`. `button` is the text on it, else the subject's."""
    shown = None if action is None else {"action": action, "label": texts[button or f"{subject}.button"]}
    return page(
        "note.html.j2",
        status=status,
        form_action="'none'" if action is None else "'self'",
        texts=texts,
        heading=texts[f"{subject}.heading"],
        text=say(texts, f"{subject}.text", **values),
        button=shown,
    )


def say(texts: Texts, key: str, /, **values: str) -> Markup:
    """`Texts.say` for a page, with each value set apart, so that an amount keeps its direction."""
    return escape(texts[key]).format(**{name: Markup("<bdi>{}</bdi>").format(value) for name, value in values.items()})


def refusal_page(request: Request, reason: Reason) -> HTMLResponse:
    """What a person reads whose link leads nowhere; the same for every such link."""
    request.state.refused_with = reason  # counted where every answer is
    return note(texts_of_reader(request), reason.value, status=KINDS[reason].status)


def texts_of_reader(request: Request) -> Texts:
    """The texts in the first language of the browser that there are texts in, else English."""
    asked = _LANGUAGE_TAG.findall(request.headers.get("accept-language", ""))[:_FIRST_TAGS]
    known = languages("pages")
    return texts_for("pages", next((tag for tag in asked if tag.split("-")[0].lower() in known), "en"))
