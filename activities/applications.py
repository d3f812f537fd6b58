"""The steps of a tutor's application: drafted, sent, answered, ended, erased."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from activities.files import FileStore
from models.messages.applications import (
    ApplicationStep,
    BeginApplication,
    BegunApplication,
    CheckedApplication,
    EndApplication,
    EndedApplication,
)


@dataclass
class ApplicationActivities:
    """What becomes of an application. Each step may be repeated: the second time finds the work done."""

    sessions: Sessions
    files: FileStore

    @activity.defn
    async def begin_application(self, step: BeginApplication) -> BegunApplication:
        """Write the draft, with what an earlier application of the same person said and showed if that is wanted.

        Refused by rules.tutor_application.may_apply, and with `unknown_person`, `not_found` (the earlier one).
        """
        raise NotImplementedError

    @activity.defn
    async def submit_application(self, step: ApplicationStep) -> CheckedApplication:
        """Hand the draft in: draft → submitted. Refused with `application_incomplete` and what is missing."""
        raise NotImplementedError

    @activity.defn
    async def answer_info(self, step: ApplicationStep) -> CheckedApplication:
        """The applicant has given what was asked for: info_requested → submitted, for the reviewers to take up.

        Refused with `application_incomplete` and what is missing, or `no_info_requested`.
        """
        raise NotImplementedError

    @activity.defn
    async def end_application(self, step: EndApplication) -> EndedApplication:
        """Let it end without a decision (withdrawn, expired), or rest (inactive); pins when it is erased."""
        raise NotImplementedError

    @activity.defn
    async def erase_application(self, step: ApplicationStep) -> None:
        """Erase the files and what the applicant said; ids, words, moments and hashes stay, for the statistics."""
        raise NotImplementedError
