"""The decision record as PDF, in English: for reviewers, auditors, and whoever asks later why it was decided so."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from reportlab.platypus import CondPageBreak, Flowable, Spacer, Table, TableStyle

from activities.decision_record import DecisionRecord, JudgedDocument, RecordedDecision, RecordedDocument, Remark
from activities.document_page import ACCENT, INK, QUIET, RULE, WIDTH, Page, set_pages
from activities.fonts import SEMIBOLD
from activities.one_line import one_line
from activities.translations import texts_for
from activities.typesetting import Style, Typesetter
from models.vocabulary import TaskAction

_LANGUAGE = "en"
_TOGETHER = 110  # points: a heading never stands alone at the foot of a page

_TITLE = Style(size=22, leading=30, weight=SEMIBOLD)
_ACADEMY = Style(size=13, leading=30, weight=SEMIBOLD, align="end", color=ACCENT, most=3)
_HEADING = Style(size=13, leading=20, weight=SEMIBOLD)
_DECISION = Style(size=11, leading=17, weight=SEMIBOLD)
_BODY = Style(most=45)
_STRONG = Style(weight=SEMIBOLD, most=10)
_QUIET = Style(color=QUIET)
_SMALL = Style(size=8, leading=11.5, color=QUIET, most=10)

_TIGHT = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 8),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]
_RULED = [
    *_TIGHT,
    ("TOPPADDING", (0, 1), (-1, -1), 5),
    ("BOTTOMPADDING", (0, 1), (-1, -1), 5),
    ("LINEBELOW", (0, 0), (-1, 0), 0.9, INK),
    ("LINEBELOW", (0, 1), (-1, -1), 0.6, RULE),
]

_DECIDED = {
    TaskAction.APPROVE: "Approved",
    TaskAction.REJECT: "Not agreed",
    TaskAction.REQUEST_INFO: "Information requested",
    TaskAction.REJECT_SOFT: "Rejected (soft)",
    TaskAction.REJECT_HARD: "Rejected (hard)",
}


def render_decision_record(record: DecisionRecord) -> bytes:
    """The record on A4, with all fonts embedded. The same record gives the same bytes."""
    texts = texts_for("documents", _LANGUAGE)
    typesetter = Typesetter(_LANGUAGE, right_to_left=False)
    page = Page(typesetter, texts, f"Decision record {record.application_id}", None, record.as_of)
    return set_pages(
        page,
        _Story(record, typesetter).told(),
        title=f"Decision record {record.application_id}",
        author=record.academy,
        subject="Application of a tutor",
        creator=record.academy,
    )


class _Story:
    """One record while it is being set."""

    def __init__(self, record: DecisionRecord, typesetter: Typesetter) -> None:
        self.record, self.set = record, typesetter
        self._zone = ZoneInfo(record.time_zone)

    def told(self) -> list[Flowable]:
        """Everything on the record, from top to bottom."""
        record, say = self.record, self.set.text
        return [
            _grid([[say("Decision record", _TITLE), say(one_line(record.academy), _ACADEMY)]], (0.6, 0.4), _TIGHT),
            Spacer(0, 10),
            self._pairs(self._head()),
            *self._section("Decisions"),
            *(part for decision in record.decisions for part in self._decision(decision)),
            *([] if record.decisions else [say("Nothing has been decided.", _QUIET)]),
            *self._answers(),
            *self._section("All versions of the documents"),
            self._versions() if record.documents else say("Nothing was shown.", _QUIET),
            *self._section("What happened, step by step"),
            self._steps() if record.steps else say("Nothing is on record.", _QUIET),
        ]

    def _head(self) -> list[tuple[str, str]]:
        record = self.record
        pairs = [
            ("Application", str(record.application_id)),
            ("Applicant", "erased" if record.applicant is None else record.applicant),
            ("Subjects", ", ".join(record.subjects)),
            ("State", _words(record.status)),
            ("Rounds of information", str(record.rounds)),
            ("Begun", self._at(record.begun_at)),
        ]
        later = (
            ("Sent", record.submitted_at),
            ("Decided", record.decided_at),
            ("May apply again from", record.reapply_at),
            ("Erased" if record.erased_at else "To be erased", record.erased_at or record.erase_at),
            ("State of the record", record.as_of),
        )
        return pairs + [(name, self._at(moment)) for name, moment in later if moment is not None]

    def _decision(self, decision: RecordedDecision) -> list[Flowable]:
        title = _DECIDED.get(TaskAction(decision.action), _words(decision.action))
        if decision.seconds is not None:
            title = f"Second opinion on decision {decision.seconds}: {title if title != 'Approved' else 'Agreed'}"
        if decision.is_override:
            title += ", although a document was rejected (override)"
        pairs = [("By", decision.by), ("When", self._at(decision.at))]
        if decision.reasons:
            pairs.append(("Reasons", ", ".join(map(_words, decision.reasons))))
        parts = [
            CondPageBreak(_TOGETHER),
            Spacer(0, 8),
            self.set.text(f"{decision.number}. {title}", _DECISION),
            self._pairs(pairs),
            *self._remarks("Message to the applicant", decision.messages),
            *self._remarks("Note", decision.notes),
            Spacer(0, 4),
        ]
        if decision.documents:
            rows = [[self._document(each), self._verdict(each)] for each in decision.documents]
            parts.append(self._table(("On the grounds of", "Verdict then"), rows, (0.7, 0.3)))
        return parts

    def _answers(self) -> list[Flowable]:
        if not self.record.answers:
            return []
        return [*self._section("Messages of the applicant"), *self._remarks("Message", self.record.answers)]

    def _versions(self) -> Flowable:
        rows = [
            [self._document(each.document), self._verdict(each.document, each), self._kept(each)]
            for each in self.record.documents
        ]
        return self._table(("Document", "Verdict", "Shown and replaced"), rows, (0.44, 0.28, 0.28))

    def _steps(self) -> Flowable:
        say = self.set.text
        rows: list[list[object]] = [
            [
                say(self._at(step.at, "\n"), _SMALL),
                say(_changed(step.from_state, step.to_state), _BODY),
                [say(one_line(step.by), _BODY), *([say(one_line(_words(step.reason)), _SMALL)] if step.reason else [])],
            ]
            for step in self.record.steps
        ]
        return self._table(("When", "What", "By whom, and why"), rows, (0.34, 0.33, 0.33))

    def _document(self, document: RecordedDocument) -> list[Flowable]:
        named = _words(document.kind).capitalize()
        if document.subject is not None:
            named += f": {document.subject}"
        return [
            self.set.text(f"{named}, version {document.version}", _STRONG),
            self.set.text(f"sha256 {document.sha256[:32]}\n{document.sha256[32:]}".rstrip(), _SMALL),
        ]

    def _verdict(self, document: RecordedDocument, judged: JudgedDocument | None = None) -> list[Flowable]:
        say = self.set.text
        parts = [say(document.verdict or "none yet", _BODY)]
        if document.reason is not None:
            parts.append(say(_words(document.reason), _SMALL))
        if judged is not None and judged.judged_by is not None and judged.judged_at is not None:
            parts += [say(one_line(judged.judged_by), _SMALL), say(self._at(judged.judged_at, "\n"), _SMALL)]
        return parts

    def _kept(self, judged: JudgedDocument) -> list[Flowable]:
        parts = [self.set.text(self._at(judged.shown_at, "\n"), _SMALL)]
        if judged.replaced_at is not None:
            replaced = self._at(judged.replaced_at, "\n")
            parts.append(self.set.text(f"replaced or taken away\n{replaced}", _SMALL))
        return parts

    def _remarks(self, name: str, remarks: Sequence[Remark]) -> list[Flowable]:
        """Each remark, line by line, so that a long one goes on on the next page."""
        parts: list[Flowable] = []
        for remark in remarks:
            parts += [
                Spacer(0, 4),
                self.set.text(f"{name} by {one_line(remark.author)}, {self._at(remark.at)}", _SMALL),
            ]
            parts += [self.set.text(line, _BODY) for line in remark.text.splitlines() if line.strip()]
        return parts

    def _section(self, title: str) -> list[Flowable]:
        return [CondPageBreak(_TOGETHER), Spacer(0, 18), self.set.text(title, _HEADING), Spacer(0, 4)]

    def _pairs(self, pairs: Sequence[tuple[str, str]]) -> Flowable:
        rows = [[self.set.text(name, _QUIET), self.set.text(one_line(value), _BODY)] for name, value in pairs]
        return _grid(rows, (0.25, 0.75), _TIGHT)

    def _table(self, heads: Sequence[str], rows: Sequence[Sequence[object]], shares: Sequence[float]) -> Flowable:
        head = [self.set.text(name, _SMALL) for name in heads]
        return _grid([head, *rows], shares, _RULED, repeatRows=1)

    def _at(self, moment: datetime, apart: str = " ") -> str:
        """The moment on the academy's clocks, and in UTC."""
        local, utc = moment.astimezone(self._zone), moment.astimezone(UTC)
        return f"{local:%Y-%m-%d %H:%M:%S %Z}{apart}({utc:%Y-%m-%d %H:%M:%S} UTC)"


def _grid(
    rows: Sequence[Sequence[object]], shares: Sequence[float], style: Sequence[tuple[object, ...]], **options: int
) -> Flowable:
    widths = [WIDTH * share for share in shares]
    return Table([list(row) for row in rows], widths, style=TableStyle(list(style)), **options)


def _changed(from_state: str | None, to_state: str) -> str:
    if from_state is None or from_state == to_state:
        return _words(to_state)
    return f"{_words(from_state)} \N{RIGHTWARDS ARROW} {_words(to_state)}"


def _words(word: str) -> str:
    return word.replace("_", " ")
