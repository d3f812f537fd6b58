"""The approval of a tutor: profile, role and platform, all of them or none."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.application_reviews import ApplicationReviewActivities
from activities.tutor_profiles import TutorProfileActivities
from models.messages.applications import ApplicationStep, CheckApproval
from models.messages.tasks import DecideTask
from models.vocabulary import TaskAction, TaskKind, WaitingFor
from rules.provisioning import TAKEN_BACK_WITHIN, TRIED_FOR
from workflows.application_run import APPLICATION, ApplicationRun
from workflows.policies import PLATFORM

_PROFILE, _ROLE = "profile", "role"


class TutorApproval:
    """A saga. What takes a step back is noted before the step; no cancellation comes between (workflows/shielding).

    Its short steps are local activities: while it is under way, no update takes a step on the record.
    """

    def __init__(self, run: ApplicationRun) -> None:
        self._run = run
        self._to_take_back: list[str] = []

    async def is_granted(self, decision: DecideTask) -> bool:
        """Whether the applicant is a tutor now.

        If a step cannot be done, all is taken back and a person is asked: to try again, or to give it back to the
        reviewers. As long as something could not be taken back, nothing else happens to the application; otherwise
        reviewers may judge it meanwhile, and what they find goes back to them instead of being approved.
        """
        self._run.has_approval = True
        self._run.has_approval = is_granted = await self._is_carried_out(decision)
        return is_granted

    async def _is_carried_out(self, decision: DecideTask) -> bool:
        run, step = self._run, self._run.step(decision.actor)
        while not await self._is_done(step):
            while True:
                is_as_before = await self._is_taken_back(step)
                run.is_being_approved = not is_as_before
                action = await self._ask(is_as_before)
                if action is TaskAction.RETRY and (not is_as_before or await self._stands(decision)):
                    break
                if is_as_before:
                    return False
        run.is_being_approved = False
        return True

    async def _stands(self, decision: DecideTask) -> bool:
        """Whether no document was rejected since it was approved; nobody judges any while this is asked."""
        run = self._run
        run.is_being_approved = True
        async with run.at_work:
            approval = CheckApproval(application_id=run.ref.application_id, task_id=decision.task_id)
            checked = await run.record(
                ApplicationReviewActivities.check_approval, approval, "Ask whether the approval still stands"
            )
        run.is_being_approved = checked.stands
        return checked.stands

    async def _is_done(self, step: ApplicationStep) -> bool:
        run = self._run
        # From here on nobody withdraws it: who has just asked to is refused.
        run.is_being_approved, run.withdrawn_by = True, None
        run.desk.tell(WaitingFor.NOTHING, "Approved: profile, role and learning platform follow.", in_passing=True)
        try:
            self._note(_PROFILE)
            async with run.at_work:
                await run.record(TutorProfileActivities.upsert_profile, step, "Write the profile of the tutor")
            self._note(_ROLE)
            async with run.at_work:
                await run.record(TutorProfileActivities.grant_role, step, "Grant the role of a tutor")
            await workflow.execute_activity_method(
                TutorProfileActivities.tell_platform,
                step,
                summary="Tell the learning platform of the tutor",
                schedule_to_close_timeout=TRIED_FOR,
                **PLATFORM,
            )
            async with run.at_work:
                approved = await run.record(
                    TutorProfileActivities.complete_approval, step, "Show the profile, the application is approved"
                )
                run.take(approved)
        except ActivityError:
            return False
        self._to_take_back.clear()
        return True

    def _note(self, what: str) -> None:
        if what not in self._to_take_back:
            self._to_take_back.append(what)

    async def _is_taken_back(self, step: ApplicationStep) -> bool:
        """Take back what was done, the last first; what cannot be taken back now stays noted."""
        for what in reversed(self._to_take_back.copy()):
            try:
                await (self._revoke_role(step) if what == _ROLE else self._withdraw_profile(step))
            except ActivityError:
                continue
            self._to_take_back.remove(what)
        return not self._to_take_back

    async def _revoke_role(self, step: ApplicationStep) -> None:
        await workflow.execute_activity_method(
            TutorProfileActivities.revoke_role,
            step,
            summary="Take back the role of a tutor",
            schedule_to_close_timeout=TAKEN_BACK_WITHIN,
            **PLATFORM,
        )

    async def _withdraw_profile(self, step: ApplicationStep) -> None:
        async with self._run.at_work:
            await self._run.record(TutorProfileActivities.withdraw_profile, step, "Take back the profile of the tutor")

    async def _ask(self, is_as_before: bool) -> TaskAction | None:
        run = self._run
        stands = "All was taken back" if is_as_before else "Not all could be taken back yet"
        run.desk.tell(
            WaitingFor.OPERATOR,
            f"Approved, but the tutor could not be set up. {stands}. Mend it and decide the task: `retry`, or `reject` "
            "to give it back to the reviewers.",
            needs_human=True,
        )
        action = await run.tasks.ask(
            TaskKind.TUTOR_PROVISIONING_FAILED,
            "provisioning",
            f"An approved tutor could not be set up, here or on the learning platform. {stands}.",
            (TaskAction.RETRY, TaskAction.REJECT),
            subject=(APPLICATION, run.ref.application_id),
            unless=lambda: is_as_before and run.is_given_up,
        )
        await run.tasks.withdraw()
        return action
