"""What every workflow can do, as committed in `fingerprints.json`: its commands in the order of its source.

A sleeping run of yesterday repeats its commands with today's code. Whoever changes them has to know, and to decide:
`workflow.patched`, or a proof that old histories go on (`make replay`).

`python -m tests.replay.fingerprint` renews the file. It belongs to the commit that changes the commands.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.determinism.steps import Block, Command, Story

FILE = Path(__file__).parent / "fingerprints.json"
HISTORIES = Path(__file__).parent / "histories"
RENEW = "python -m tests.replay.fingerprint"
# What is longer than this is told once for each workflow, and referred to afterwards.
_SHORT = 3
# What goes on by itself is a `task`, but for the story that `to_its_end` waits for.
_TOLD = ("if", "else", "case", "while", "for", "finally", "task")

_CHANGES = {"-": "gone", "+": "new", " ": "", "@": ""}

Fingerprint = Sequence[str]


def fingerprint(story: Story) -> list[str]:
    """The commands, a line each, indented by the branches, loops and handlers they stand in.

    Names of variables, functions and conditions are not a part of it, nor are summaries and timeouts: none of them
    decides whether a history goes on.
    """
    told: set[int] = set()
    lines: list[str] = []
    for entry, block in story.entries:
        if block.commands:
            lines += [entry, *_indented(_lines(block, told))]
    return lines


def _lines(block: Block, told: set[int]) -> list[str]:
    if block.kind == "call" and block.commands and id(block) in told:
        whole = _lines(block, set())
        if len(whole) > _SHORT:
            digest = hashlib.sha256("\n".join(whole).encode()).hexdigest()[:8]
            return [f"as above: {_worded(block.commands[0])} … {len(whole)} lines, {digest}"]
        return whole
    told.add(id(block))
    lines: list[str] = []
    for step in block.steps:
        if isinstance(step, Command):
            lines.append(_worded(step))
        elif step.commands:
            inner = _lines(step, told)
            is_told = step.kind in _TOLD or step.kind.startswith("except")
            lines += [step.kind, *_indented(inner)] if is_told and block.kind != "shield" else inner
    return lines


def _indented(lines: Sequence[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _worded(command: Command) -> str:
    queue = "" if command.queue is None else f" on {command.queue}"
    return f"{command.kind} {command.name}{queue}".strip()


def replayed_by(workflow: str) -> list[str]:
    """The saved histories that are of this workflow, the newest release last."""
    return [f"{file.parent.name}/{file.stem}" for file in saved_histories().get(workflow, [])]


def saved_histories() -> Mapping[str, list[Path]]:
    """The saved histories, by the workflow they are of."""
    found: dict[str, list[Path]] = {}
    for file in sorted(HISTORIES.glob("*/*.json")):
        with file.open() as opened:
            # The first event tells it, and a history may be long.
            head = opened.read(20_000)
        found.setdefault(_workflow_in(head), []).append(file)
    return found


def _workflow_in(head: str) -> str:
    after = head.partition('"workflowType"')[2].partition('"name"')[2]
    return after.partition('"')[2].partition('"')[0]


def difference(workflow: str, before: Fingerprint | None, after: Fingerprint | None) -> str:
    """What has changed about a workflow, and what to do about it, in words; empty if nothing has."""
    if before == after:
        return ""
    if before is None:
        return f"{workflow} is new. No run of it sleeps anywhere: `{RENEW}` writes its fingerprint down.\n"
    if after is None:
        return (
            f"{workflow} is gone. Runs of it that still sleep can never go on: keep the class until none is left\n"
            f'(`temporal workflow list --query \'WorkflowType="{workflow}" AND ExecutionStatus="Running"\'`), '
            f"then `{RENEW}`.\n"
        )
    changed = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
    lines = [f"{workflow} does not issue the same commands in the same order any more:", ""]
    lines += [f"    {_CHANGES[line[0]]:<4}  {line[1:] if line[0] != '@' else '…'}" for line in changed]
    histories = replayed_by(workflow)
    shown = ", ".join(histories[-12:]) or "none: no saved history would notice a mistake"
    patches = sorted(_patches(after) - _patches(before))
    if patches:
        patched = f"A new marker was seen: {', '.join(patches)}. Only what stands behind it may be new."
    else:
        patched = "No new `workflow.patched` marker was seen: a sleeping run would meet the new commands."
    return "\n".join(
        [
            *lines,
            "",
            f"Saved histories of it: {shown}.",
            patched,
            "What to do:",
            '  1. either put the new path behind `if workflow.patched("what is new"):`, the old one beside it,',
            "     or make it depend on a new optional field of a result that old histories have without it;",
            "  2. or prove that old histories go on all the same: `make replay` is green, and a history has the path",
            "     that changed (`tests/replay/record.py` makes them).",
            f"Then `{RENEW}` renews {FILE.name}; commit it with the change.",
            "",
        ]
    )


def _patches(lines: Fingerprint) -> set[str]:
    return {line.strip().removeprefix("patch ") for line in lines if line.strip().startswith("patch ")}


def todays() -> dict[str, list[str]]:
    """The fingerprint of every workflow that the worker runs."""
    from tests.determinism.workflow_code import stories  # noqa: PLC0415 - it reads all of today's code

    return {story.name: fingerprint(story) for story in sorted(stories(), key=lambda each: each.name)}


def committed() -> dict[str, list[str]]:
    """Those that were written down last."""
    return dict(json.loads(FILE.read_text())) if FILE.exists() else {}


def main() -> None:
    """Renew the file, and say what has changed."""
    before, after = committed(), todays()
    FILE.write_text(json.dumps(after, indent=1, ensure_ascii=False) + "\n")
    for workflow in sorted(before.keys() | after.keys()):
        if before.get(workflow) != after.get(workflow):
            print(f"renewed: {workflow}")


if __name__ == "__main__":
    main()
