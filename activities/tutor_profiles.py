"""The steps that make an applicant a tutor, and those that take them back."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from activities.provisioning import LearningPlatform
from models.messages.applications import ApplicationStep, RecordedDecision


@dataclass
class TutorProfileActivities:
    """The approval of a tutor, step by step. Each may be repeated: the second time finds the work done."""

    sessions: Sessions
    platform: LearningPlatform | None

    @activity.defn
    async def upsert_profile(self, step: ApplicationStep) -> None:
        """Write the profile of the tutor, one for each person, not shown yet (TutorHub R102, R103, R106)."""
        raise NotImplementedError

    @activity.defn
    async def withdraw_profile(self, step: ApplicationStep) -> None:
        """Take the profile back that this application has made."""
        raise NotImplementedError

    @activity.defn
    async def grant_role(self, step: ApplicationStep) -> None:
        """Write down that the person is a tutor (TutorHub R104)."""
        raise NotImplementedError

    @activity.defn
    async def revoke_role(self, step: ApplicationStep) -> None:
        """Take back the role that this application has granted, and tell the platform if it may know of it."""
        raise NotImplementedError

    @activity.defn
    async def tell_platform(self, step: ApplicationStep) -> None:
        """Send `tutor.approved` to the learning platform until it answers 2xx; nothing without a platform.

        A 4xx other than 408, 409, 425 and 429 is raised as a non-retryable `ApplicationError` (`platform_refused`).
        """
        raise NotImplementedError

    @activity.defn
    async def complete_approval(self, step: ApplicationStep) -> RecordedDecision:
        """Show the profile, and the application is approved: in one transaction."""
        raise NotImplementedError
