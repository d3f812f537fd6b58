"""A change of a course that people learn in already: it is made once, then brought to each of them, page by page."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.course_changes import CourseChangeActivities
    from models.errors import Reason, refusal
    from models.messages.jobs import JobState
    from models.messages.learning import (
        CourseChangeBegun,
        CourseChangeCursor,
        CourseChangeOutcome,
        CourseChangeRequest,
        EndCourseChange,
        ReplannedPage,
        ReplanPage,
    )
    from models.vocabulary import CourseChangeStatus, WaitingFor
    from workflows.desk import Desk, listed_so_far
    from workflows.policies import JOBS, RECORD
    from workflows.shielding import to_its_end

_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


@workflow.defn(name="CourseChangeWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CourseChangeWorkflow:
    """One change. Nothing that has opened, or is done, locks again, however far it has come when it is stopped."""

    @workflow.init
    def __init__(self, request: CourseChangeRequest) -> None:
        self._request = request
        self._cursor: CourseChangeCursor | None = request.cursor
        self._is_stopped = False
        state, waiting_for, is_with_human = listed_so_far()
        self._desk = Desk(
            "Change of a course", "The change is being made.", (state, waiting_for), is_with_human=is_with_human
        )
        self._desk.status = CourseChangeStatus.RUNNING

    @workflow.run
    async def run(self, request: CourseChangeRequest) -> CourseChangeOutcome:
        """Make the change, then bring it to the enrollments of the course, in the order of their ids.

        A cancellation stops it, as the signal does: after the page that is under way.
        """
        outcome = await to_its_end(asyncio.create_task(self._tell_story()), self.stop)
        if outcome is None:
            continued = self._request.model_copy(update={"cursor": self._cursor})
            workflow.continue_as_new(continued, initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
        return outcome

    async def _tell_story(self) -> CourseChangeOutcome | None:
        """None where another run goes on with it."""
        if self._cursor is None:
            self._cursor = await self._begin()
        if self._cursor.begun.refusal is not None:
            self._desk.status = CourseChangeStatus.REFUSED
            self._desk.tell(WaitingFor.NOTHING, f"Refused, {self._cursor.begun.refusal}: nothing was changed.")
            return CourseChangeOutcome(refusal=self._cursor.begun.refusal)
        while not self._is_stopped:
            self._tell_progress(self._cursor)
            page = await self._replan(self._cursor)
            self._cursor = _moved(self._cursor, page)
            if page.last is None:
                break
            if self._is_long():
                return None
        return await self._end(self._cursor)

    # ---- the chapters ----

    async def _begin(self) -> CourseChangeCursor:
        begun = await workflow.execute_local_activity_method(
            CourseChangeActivities.begin_course_change,
            self._request,
            summary="Make the change",
            **RECORD,
        )
        return CourseChangeCursor(begun=begun)

    async def _replan(self, cursor: CourseChangeCursor) -> ReplannedPage:
        return await workflow.execute_activity_method(
            CourseChangeActivities.replan_page,
            ReplanPage(
                change_id=self._request.change_id,
                after=cursor.after,
                moment=workflow.now(),
                workflow_id=workflow.info().workflow_id,
            ),
            summary=f"Bring the enrollments in line, from number {cursor.done + cursor.refused + 1} on",
            **JOBS,
        )

    async def _end(self, cursor: CourseChangeCursor) -> CourseChangeOutcome:
        await workflow.execute_local_activity_method(
            CourseChangeActivities.end_course_change,
            EndCourseChange(
                change_id=self._request.change_id,
                is_stopped=self._is_stopped,
                workflow_id=workflow.info().workflow_id,
            ),
            summary="Write down that it has ended",
            **RECORD,
        )
        self._desk.status = CourseChangeStatus.STOPPED if self._is_stopped else CourseChangeStatus.DONE
        self._desk.tell(WaitingFor.NOTHING, f"Over: {self._counted(cursor)}")
        return CourseChangeOutcome(done=cursor.done, refused=cursor.refused, is_stopped=self._is_stopped)

    # ---- what they share ----

    def _tell_progress(self, cursor: CourseChangeCursor) -> None:
        told = f"{self._counted(cursor)} The signal `stop` ends it after the page that is under way."
        self._desk.tell(WaitingFor.NOTHING, told)

    def _counted(self, cursor: CourseChangeCursor) -> str:
        return f"{cursor.done} of {cursor.begun.enrollments} enrollments are done, {cursor.refused} were refused."

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.is_target_worker_deployment_version_changed()

    # ---- messages ----

    @workflow.update(description="Wait until the change is made; answers how many enrollments it concerns, or why not")
    async def begin(self) -> CourseChangeBegun:
        """Answer who has started it, or repeats it."""
        await workflow.wait_condition(lambda: self._cursor is not None)
        assert self._cursor is not None  # noqa: S101 - that is what was waited for
        begun = self._cursor.begun
        if begun.refusal is not None:
            raise refusal(begun.refusal or Reason.INTERNAL, begun.refusal_detail or "It was refused.")
        return begun

    @workflow.signal(description="Go no further; those that it has reached keep the change")
    def stop(self) -> None:
        self._is_stopped = True

    @workflow.query(description="How many enrollments it has reached")
    def status(self) -> JobState:
        return self._desk.state(None)


def _moved(cursor: CourseChangeCursor, page: ReplannedPage) -> CourseChangeCursor:
    counted = {"done": cursor.done + page.done, "refused": cursor.refused + page.refused}
    return cursor.model_copy(update=counted | ({"after": page.last} if page.last is not None else {}))
