"""The certificates of an enrollment: issued once, looked after until nothing more can happen (reference list 10.6)."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.errors import Reason, refusal
    from models.messages.certificates import (
        CertificateAnswer,
        CertificateMail,
        CertificateOutcome,
        CertificatesIssued,
        CertificateStart,
        CertificatesTended,
        CorrectName,
        IssuedCertificate,
        ReinstateCertificate,
        RenewCertificate,
        ResendCertificate,
        RevokeCertificate,
    )
    from models.messages.jobs import JobState
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import (
        CertificateGround,
        CertificateOrigin,
        CertificateStatus,
        MailTemplate,
        TaskAction,
        TaskKind,
        WaitingFor,
    )
    from rules.name_reminders import due_reminder, next_reminder_at
    from workflows import certificate_steps as record
    from workflows.certificate_names import NameCorrections
    from workflows.certificate_papers import CertificatePapers
    from workflows.desk import Desk, Told, listed_so_far
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox
    from workflows.shielding import to_its_end
    from workflows.waiting import LOOK_AGAIN, happened

_AT_LEAST = timedelta(minutes=1)
_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
_WAITING = "waiting"
_NAME = "name"
_FOR_GOOD = {CertificateGround.REVOKED_BEFORE, CertificateGround.EXPIRED_BEFORE}
_COUNTS_OR_DID = (CertificateStatus.ISSUED, CertificateStatus.EXPIRED)


@workflow.defn(name="CertificateWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CertificateWorkflow:
    """All certificates of one enrollment, one run at a time; another one whenever somebody has something to say.

    The record says how they stand and what is due, so a run that starts afresh forgets nothing. Every step on it is
    one transaction, at a moment of the workflow's clock.
    """

    @workflow.init
    def __init__(self, start: CertificateStart) -> None:
        self._start = start
        # What somebody has asked for, and only waits for a confirmed name.
        self._wanted: CertificateStart | None = None
        self._asked_at = start.asked_at
        self._name: asyncio.Task[None] | None = None
        self._is_parked = False
        # Whether the run before has asked a person.
        self._was_parked = start.asked_at is not None and next_reminder_at(start.asked_at, workflow.now()) is None
        self._issued = CertificatesIssued()
        self._tended: CertificatesTended | None = None
        self._is_to_be_read, self._have_facts_changed, self._has_completed = True, False, False
        self._was_woken = False
        # How often what is asked for was given up.
        self._given_up = 0
        # One step at a time: local activities side by side need not replay, and none may undo what another has done.
        self._turn = asyncio.Lock()
        self._outbox = Outbox()
        self._papers = CertificatePapers(start, self._outbox, self._read_again)
        self._tasks = HumanTasks(self._outbox)
        self._corrections = NameCorrections(self._outbox, self._settle_correction)
        self._desk = Desk(
            "Certificate",
            "It is issued.",
            listed=listed_so_far()[:2],
            can_do="`facts_changed` has the record read at once.",
        )

    @workflow.run
    async def run(self, start: CertificateStart) -> CertificateOutcome:
        """Issue what is due, have it rendered and mailed, and look after it until nothing will ever be due.

        A cancellation gives up what waits for a name, as the decision `dismiss` does. What is issued is looked after
        all the same.
        """
        is_over = await to_its_end(asyncio.create_task(self._tell_story()), self._forget_wish)
        if not is_over:
            workflow.continue_as_new(self._handed_over(), initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
        return CertificateOutcome(certificates=len(_counting(self._issued)), grounds=self._issued.grounds)

    def _forget_wish(self) -> None:
        """Also what the record is being asked about at this moment."""
        self._wanted = None
        self._given_up += 1

    def _read_again(self) -> None:
        self._is_to_be_read = True

    async def _tell_story(self) -> bool:
        """Whether it is over; if not, another run goes on with it."""
        await self._begin()
        while True:
            while not self._is_over():
                if self._is_to_be_read:
                    await self._look()
                elif self._goes_on_anew():
                    return False
                else:
                    await self._rest()
            self._tell()
            # A mail server that is down keeps a run open, and stops nobody who has something to say.
            await workflow.wait_condition(lambda: self._is_at_rest() or not self._is_over())
            if self._is_over():
                return True

    # ---- the chapters ----

    async def _begin(self) -> None:
        """What the start asks for, or the message that came with it."""
        for correction in self._start.corrections:
            self._corrections.ask(correction)
        if self._start.origin is not None:
            await self._issue(self._start)
            if self._was_parked and self._name is None:
                self._name = asyncio.create_task(self._wait_for_the_name())
        else:
            await workflow.wait_condition(workflow.all_handlers_finished)

    async def _look(self) -> None:
        """Do what is due, and have rendered and mailed what follows. Once a PDF is there, it is looked at again."""
        if self._have_facts_changed:
            await self._try_again()
        await self._tend()
        if (tended := self._tended) is None:
            return
        for wish in tended.corrections:
            if not self._corrections.is_open(wish.correction_id):
                await self._take_up(wish)
        self._papers.follow(tended)

    async def _rest(self) -> None:
        """Until there is news, something is due, or it is time to look again."""
        told, now = self._tell(), workflow.now()
        until = now + LOOK_AGAIN
        if self._tended is not None and self._tended.wakes_at is not None:
            until = min(until, max(self._tended.wakes_at, now + _AT_LEAST))

        def is_called() -> bool:
            return self._is_to_be_read or self._told() != told or self._is_over() or self._goes_on_anew()

        if not await happened(is_called, until, summary="The next day on which something may be due"):
            self._is_to_be_read = True
        self._was_woken = True

    # ---- the record ----

    async def _issue(self, wish: CertificateStart, *, takes_name_on_file: bool = False) -> CertificatesIssued:
        async with self._turn:
            return await self._issue_in_turn(wish, takes_name_on_file=takes_name_on_file)

    async def _try_again(self) -> None:
        """Whether what is wanted can be issued by now, or what is due since the course was completed."""
        async with self._turn:
            wish = self._wanted
            if wish is None and self._has_completed:
                wish = CertificateStart(enrollment_id=self._start.enrollment_id, origin=CertificateOrigin.COMPLETION)
            self._have_facts_changed = self._has_completed = False
            if wish is not None:
                await self._issue_in_turn(wish)

    async def _issue_in_turn(self, wish: CertificateStart, *, takes_name_on_file: bool = False) -> CertificatesIssued:
        given_up = self._given_up
        issued = await record.issue(wish, takes_name_on_file=takes_name_on_file)
        self._papers.student_id = issued.student_id or self._papers.student_id
        # What staff has granted is not forgotten for what somebody else asks meanwhile.
        counts = self._wanted is None or bool(_counting(issued)) or wish.origin is self._wanted.origin
        if _waits_for_the_name(issued) and given_up == self._given_up:
            if counts or wish.origin is CertificateOrigin.EXCEPTION:
                self._issued, self._wanted = issued, wish
            if self._name is None or self._name.done():
                self._name = asyncio.create_task(self._wait_for_the_name())
        else:
            if counts:
                self._issued, self._wanted = issued, None
            self._is_to_be_read = True
        return issued

    async def _tend(self) -> None:
        async with self._turn:
            self._is_to_be_read = False
            self._tended = await record.tend(self._start.enrollment_id)

    async def _change(self, wish: record.Change) -> CertificateAnswer:
        """Write it down, and answer what the record says of it."""
        async with self._turn:
            answer = await record.change(self._start.enrollment_id, wish)
            self._is_to_be_read = True
        if answer.refusal is not None:
            raise refusal(answer.refusal, answer.refusal_detail or "It was refused.")
        return answer

    # ---- a name that is missing ----

    async def _wait_for_the_name(self) -> None:
        """Ask the learner a few times, then a person, as long as the certificate is wanted."""
        if self._was_parked:
            self._was_parked = False
            await self._park()
        while self._wanted is not None:
            now = workflow.now()
            asked_at = self._asked_at = self._asked_at or now
            reminder, following = due_reminder(asked_at, now), next_reminder_at(asked_at, now)
            self._papers.post(
                CertificateMail(
                    template=MailTemplate.CERTIFICATE_NAME_NEEDED,
                    certificate_id=self._start.enrollment_id,
                    occasion=reminder,
                )
            )
            if following is None:
                await self._park()
            elif not await happened(lambda: self._wanted is None, following, summary="The learner confirms the name"):
                # The signal that it is confirmed may have got lost.
                await self._try_again()
        self._asked_at = None

    async def _park(self) -> None:
        """A person decides: look again, take the name on file, or no certificate now."""
        self._is_parked = True
        # Always by the same name: of those that are decided, the record knows which one follows, in every run.
        tasks = self._tasks = HumanTasks(self._outbox)
        action = await tasks.ask(
            TaskKind.CERTIFICATE_NAME_MISSING,
            _NAME,
            "The certificate waits for its learner to confirm their name, and they have not for two weeks.",
            (TaskAction.RETRY, TaskAction.APPROVE, TaskAction.DISMISS),
            subject=("enrollment", self._start.enrollment_id),
            unless=lambda: self._wanted is None,
        )
        if action is None:
            await tasks.withdraw()
        elif action is TaskAction.DISMISS:
            self._forget_wish()
        elif (wanted := self._wanted) is not None:
            by = wanted.model_copy(update={"actor": tasks.decided_by(_NAME)})
            await self._issue(by, takes_name_on_file=action is TaskAction.APPROVE)
        self._is_parked = False

    # ---- another name ----

    async def _take_up(self, wish: CorrectName) -> None:
        """What was written down, and whose update `correct` never came."""
        async with self._turn:
            answer = await record.change(self._start.enrollment_id, wish)
        if answer.needs_person:
            self._corrections.ask(wish)
        elif answer.refusal is None:
            self._is_to_be_read = True

    async def _settle_correction(self, wish: CorrectName, decision: DecideTask) -> None:
        async with self._turn:
            answer = await record.settle_correction(wish, decision)
            self._is_to_be_read = True
        if decision.action is TaskAction.REJECT and answer.refusal is None:
            self._papers.post(
                CertificateMail(
                    template=MailTemplate.CERTIFICATE_CORRECTION_REJECTED,
                    certificate_id=answer.certificate_id or wish.certificate_id,
                    occasion=wish.correction_id.hex,
                )
            )

    # ---- what they share ----

    def _is_over(self) -> bool:
        """Whether nothing is under way, and nothing will ever be due."""
        is_waiting = self._wanted is not None or (self._name is not None and not self._name.done())
        is_due = self._tended is not None and (self._tended.wakes_at is not None or bool(self._tended.unrendered))
        return not (
            self._is_to_be_read or is_waiting or self._corrections.open or self._papers.are_rendered_now or is_due
        )

    def _is_at_rest(self) -> bool:
        """Whether nothing is under way that would be torn if this run ended now."""
        is_withdrawing = self._is_parked and self._wanted is None
        is_at_work = self._turn.locked() or self._papers.are_rendered_now or is_withdrawing
        return not is_at_work and self._outbox.is_empty and workflow.all_handlers_finished()

    def _goes_on_anew(self) -> bool:
        """Whether another run should go on: this one is long, or its build is not the newest any more.

        Only once it has slept, so that each run gets something done.
        """
        info = workflow.info()
        is_due = info.is_continue_as_new_suggested() or info.is_target_worker_deployment_version_changed()
        return is_due and self._was_woken and self._is_at_rest()

    def _handed_over(self) -> CertificateStart:
        """What the next run begins with. How the certificates stand is read from the record again."""
        wanted = self._wanted
        return CertificateStart(
            enrollment_id=self._start.enrollment_id,
            origin=None if wanted is None else wanted.origin or CertificateOrigin.COMPLETION,
            actor=self._start.actor if wanted is None else wanted.actor,
            asked_at=self._asked_at,
            corrections=self._corrections.open,
            student_id=self._papers.student_id,
            letters=self._papers.letters,
        )

    def _tell(self) -> Told:
        told = self._told()
        status = None if self._tended is None else self._tended.status
        listed = _WAITING if status is None and self._wanted is not None else status
        if (told, listed) != (self._desk.told, self._desk.status):
            self._desk.status = listed
            in_passing = self._papers.are_rendered_now and not told.needs_human
            self._desk.tell(
                told.waiting_for,
                told.next_action,
                due_at=told.due_at,
                needs_human=told.needs_human,
                in_passing=in_passing,
            )
        return told

    def _told(self) -> Told:
        """What it waits for, as far as anybody has to know; what a person has to do comes first."""
        wakes_at = None if self._tended is None else self._tended.wakes_at
        if (question := self._question()) is not None:
            return Told(WaitingFor.OPERATOR, question, needs_human=True)
        if self._papers.are_rendered_now:
            return Told(WaitingFor.NOTHING, "The certificate is rendered, then mailed.")
        if self._wanted is not None:
            due_at = None if self._asked_at is None else next_reminder_at(self._asked_at, workflow.now())
            told = "The learner confirms the name for the certificate. They are reminded, then a person decides."
            return Told(WaitingFor.LEARNER, told, due_at)
        if wakes_at is not None:
            return Told(WaitingFor.TIMER, "Something about its validity is due then.", wakes_at)
        grounds = ", ".join(self._issued.grounds)
        return Told(WaitingFor.NOTHING, f"Not issued: {grounds}." if grounds else "Over: nothing more will be due.")

    def _question(self) -> str | None:
        if self._is_parked and self._wanted is not None:
            decide = "Decide the task: `retry`, `approve` takes the name on file, `dismiss` gives no certificate now."
            return f"The name is not confirmed. {decide}"
        if self._corrections.open:
            return "Another name is wanted. Decide the task: `approve` or `reject`."
        if self._papers.cannot_be_rendered:
            return "A certificate cannot be rendered. Mend what its step says, then send the signal `facts_changed`."
        return None

    # ---- messages ----

    @workflow.update(
        description="Issue what is due: {enrollment_id: '…', origin: 'completion' | 'exception', actor: 'staff:<id>'}"
    )
    async def issue(self, wish: CertificateStart) -> CertificateAnswer:
        """Answers once it is issued, or waits for a confirmed name; refused with all that stands between."""
        issued = await self._issue(wish)
        if issued.student_id is None:
            raise refusal(Reason.NOT_FOUND, "There is no such enrollment.")
        is_over = bool(set(issued.grounds) & _FOR_GOOD)
        if is_over or (issued.grounds and not _counting(issued) and not _waits_for_the_name(issued)):
            grounds = ", ".join(issued.grounds)
            raise refusal(Reason.CERTIFICATE_NOT_ELIGIBLE, f"Not eligible: {grounds}.", *issued.grounds)
        first = issued.certificates[0] if issued.certificates else None
        return CertificateAnswer(
            certificate_id=None if first is None else first.certificate_id,
            status=None if first is None else first.status,
            grounds=issued.grounds,
            certificate_ids=tuple(each.certificate_id for each in issued.certificates),
        )

    @issue.validator
    def _check_issue(self, wish: CertificateStart) -> None:
        if wish.enrollment_id != self._start.enrollment_id:
            raise refusal(Reason.NOT_FOUND, "There is no such enrollment.")

    @workflow.update(
        description="It counts no longer: {certificate_id: '…', reason: 'issued_in_error', actor: 'staff:<id>'}"
    )
    async def revoke(self, wish: RevokeCertificate) -> CertificateAnswer:
        """Seen at once by whoever checks it."""
        return await self._change(wish)

    @workflow.update(description="A revoked one counts again: {certificate_id: '…', actor: 'staff:<id>'}")
    async def reinstate(self, wish: ReinstateCertificate) -> CertificateAnswer:
        """Where its time is over meanwhile, it is expired."""
        return await self._change(wish)

    @workflow.update(description="Issue the one that follows on it: {certificate_id: '…', actor: 'student:<id>'}")
    async def renew(self, wish: RenewCertificate) -> CertificateAnswer:
        """Answers with the new one; a repeat with the same."""
        return await self._change(wish)

    @workflow.update(
        description="Another name is wanted: {certificate_id: '…', correction_id: '…', actor: 'student:<id>'}"
    )
    async def correct(self, wish: CorrectName) -> CertificateAnswer:
        """Answers with the new certificate, or that a person has to decide first."""
        answer = await self._change(wish)
        if answer.needs_person:
            self._corrections.ask(wish)
        return answer

    @workflow.update(description="Mail it once more: {certificate_id: '…', copy_id: '…', actor: 'staff:<id>'}")
    async def resend(self, wish: ResendCertificate) -> CertificateAnswer:
        """Answers at once; the mail goes out when the PDF is there. The same `copy_id` again sends nothing."""
        self._papers.keep(
            CertificateMail(
                template=MailTemplate.CERTIFICATE_ISSUED,
                certificate_id=wish.certificate_id,
                occasion=f"copy_{wish.copy_id.hex}",
            )
        )
        self._is_to_be_read = True
        return CertificateAnswer(certificate_id=wish.certificate_id)

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'approve', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Answers once what a person decided is carried out."""
        tasks = self._tasks
        if tasks.kind_of(decision.task_id) is None:
            return await self._corrections.decide(decision)
        decided = await tasks.decide(decision)
        await workflow.wait_condition(lambda: not self._is_parked or self._tasks is not tasks)
        return decided

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        is_name = self._tasks.kind_of(decision.task_id) is not None
        (self._tasks if is_name else self._corrections.tasks).check(decision)

    @workflow.signal(description="Something that certificates depend on is not as it was: look at the record")
    def facts_changed(self) -> None:
        self._hear_news()

    @workflow.signal(description="The course was completed while this run was open: issue what is due by that")
    def completed(self) -> None:
        self._has_completed = True
        self._hear_news()

    def _hear_news(self) -> None:
        self._have_facts_changed = self._is_to_be_read = True
        self._papers.render_again()

    @workflow.query(description="How the certificates stand, what happens next, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id or self._corrections.tasks.open_id)


def _counting(issued: CertificatesIssued) -> tuple[IssuedCertificate, ...]:
    """Those that count, or did until they expired."""
    return tuple(each for each in issued.certificates if each.status in _COUNTS_OR_DID)


def _waits_for_the_name(issued: CertificatesIssued) -> bool:
    """Whether nothing but the name stands between."""
    return set(issued.grounds) == {CertificateGround.NAME_UNCONFIRMED}
