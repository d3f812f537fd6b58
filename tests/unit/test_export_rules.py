"""What each report can be narrowed by, and who may have it."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.messages.exports import ExportFilters
from models.vocabulary import ExportFormat, ExportReport, Role
from rules.exports import REPORTS, reports_of, wrong_filters

MARCH = {"date_from": date(2026, 3, 1), "date_until": date(2026, 4, 1)}
VALUES: dict[str, object] = {
    **MARCH,
    "statuses": ("no such word",),
    "course_ids": (UUID(int=1),),
    "person_ids": (UUID(int=1),),
    "coupon_ids": (UUID(int=1),),
    "currency": "EUR",
    "include_tests": True,
}


def test_every_report_is_declared_with_filters_that_there_are() -> None:
    assert REPORTS.keys() == set(ExportReport)
    assert set(VALUES) == set(ExportFilters.model_fields)
    for report, rules in REPORTS.items():
        assert set(rules.filters) <= set(VALUES), report
        assert {"date_from", "date_until"} <= set(rules.filters), report
        assert ("statuses" in rules.filters) is bool(rules.statuses), report
        assert ExportFormat.XLSX in rules.formats
        assert {Role.ADMIN, Role.SERVICE} <= rules.roles <= {Role.ADMIN, Role.SERVICE, Role.STAFF}


def test_days_that_begin_nowhere_are_no_filter() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1900"):
        ExportFilters(date_from=date.min)
    with pytest.raises(ValidationError, match="less than or equal to 2199"):
        ExportFilters(date_until=date.max)


@given(report=st.sampled_from(ExportReport), names=st.sets(st.sampled_from(sorted(VALUES))))
def test_a_filter_is_wrong_if_the_report_does_not_know_it_or_its_words(report: ExportReport, names: set[str]) -> None:
    filters = ExportFilters.model_validate({name: VALUES[name] for name in names})
    rules = REPORTS[report]
    unknown = names - set(rules.filters)
    strange = {"statuses"} & names
    missing = {"date_from", "date_until"} - names if rules.adds_up else set()
    assert {each.name for each in wrong_filters(report, filters)} == unknown | strange | missing
    known = ExportFilters(**MARCH, statuses=rules.statuses[:20])
    assert wrong_filters(report, known) == ()


@pytest.mark.parametrize(
    ("roles", "missing"),
    [
        ({Role.ADMIN}, set()),
        ({Role.SERVICE}, set()),
        ({Role.STAFF}, {ExportReport.AUDIT, ExportReport.TUTOR_APPLICATIONS}),
        ({Role.STAFF, Role.SERVICE}, set()),
        ({Role.STUDENT, Role.TUTOR}, set(ExportReport)),
    ],
)
def test_who_may_have_what(roles: set[Role], missing: set[ExportReport]) -> None:
    assert set(reports_of(frozenset(roles))) == set(ExportReport) - missing
