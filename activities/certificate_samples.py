"""The templates that ship, and made-up facts to look at templates with."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from models.canvas import CUSTOM_FIELD, Canvas, canvas_from
from models.certificate_facts import CertificateFacts

SAMPLE_URL = "https://academy.example/verify/7Z3K9QW2M4X8C1V5B6N0T2R4YH"

_SAMPLE = CertificateFacts(
    student_first_name="Aoife",
    student_last_name="Ní Dhomhnaill",
    student_full_name="Aoife Ní Dhomhnaill",
    course_name="Spanish for beginners",
    issue_date="November 21, 2026",
    expiry_date="November 21, 2027",
    instructor_name="Łukasz Żółciński",
    certificate_code="CERT-2026-000042",
    course_credit="5",
    learning_path_name="Languages of Europe",
    learning_path_credit="15",
    language="en",
    issuer="TutorHub Academy",
)


@lru_cache(maxsize=1)
def shipped_templates() -> Mapping[str, Canvas]:
    """The canvases of `templates/certificates`, by the names of their files."""
    found = files("templates").joinpath("certificates").iterdir()
    return {
        file.name.removesuffix(".json"): canvas_from(json.loads(file.read_text(encoding="utf-8")))
        for file in sorted(found, key=lambda file: file.name)
        if file.name.endswith(".json")
    }


def sample_facts(canvas: Canvas, name: str | None = None, language: str = "en") -> CertificateFacts:
    """Facts of nobody, with something for every field that the canvas shows; `name` is whose certificate it is."""
    custom = {box.key.removeprefix(CUSTOM_FIELD) for box in canvas.boxes if box.key.startswith(CUSTOM_FIELD)}
    facts = _SAMPLE.model_copy(
        update={"language": language, "custom_fields": tuple((key, key.replace("_", " ")) for key in sorted(custom))}
    )
    if name is None:
        return facts
    first, _, last = name.rpartition(" ")
    return facts.model_copy(
        update={"student_full_name": name, "student_first_name": first or name, "student_last_name": last}
    )
