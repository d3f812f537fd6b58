"""What a certificate prints: read once when it is issued, kept with it, and never looked up again (DESIGN §3.9)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Printed = Annotated[str, StringConstraints(max_length=500)]


class CertificateFacts(BaseModel):
    """The words that the keys of a template stand for (Academy of Mine certificate template), ready to be printed.

    Dates and credits are written out in the holder's language already. A fact that is not there is not printed.
    What is printed one day that is not printed today needs a default: the facts of today will not have it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    student_first_name: Printed | None = None
    student_last_name: Printed | None = None
    student_full_name: Printed | None = None
    course_name: Printed | None = None
    issue_date: Printed | None = None
    expiry_date: Printed | None = None
    instructor_name: Printed | None = None
    certificate_code: Printed | None = None
    course_credit: Printed | None = None
    learning_path_name: Printed | None = None
    learning_path_credit: Printed | None = None
    custom_fields: tuple[tuple[Printed, Printed], ...] = Field(
        default=(), max_length=50, description="key and value of each field of the person (`person_fields`)"
    )
    language: str = Field(default="en", max_length=35, description="the holder's BCP 47 tag")
    issuer: Printed | None = Field(default=None, description="the academy, as the author of the document")
    is_test: bool = Field(default=False, description="marked as a test, across the page")
