"""For each rule what it must find, and what is right instead: the bodies of workflow classes, as source."""

from tests.determinism.small import _IMPORTS, HEAD

_RUN = "    @workflow.run\n    async def run(self) -> None:\n        "
_SHIELDED = (
    "    @workflow.run\n    async def run(self) -> None:\n"
    "        await to_its_end(asyncio.create_task(self._story()))\n\n    async def _story(self) -> None:\n        "
)
_STEP = "workflow.execute_activity_method(MailActivities.send_mail, None, "
_LOCAL = "await workflow.execute_local_activity_method(OrderActivities.place_order, None, summary='Place it', **RECORD)"
_PAY = "await workflow.execute_activity_method(RefundActivities.refund_places, None, summary='Pay back', **STRIPE)"
_HANDLER = "\n    @workflow.update(description='Again')\n    async def again(self) -> None:\n        "
_END = "await workflow.wait_condition(workflow.all_handlers_finished)"
_LOCKED = f"async with self._turn:\n            {_LOCAL}"
_TASK = "\n\n    async def _x(self) -> None:\n        "
_PASSED = "with workflow.unsafe.imports_passed_through():\n    "
_WITH_LOCK = "    def __init__(self) -> None:\n        self._turn = asyncio.Lock()\n\n"


def _run(line: str, imports: str = "") -> str:
    return _class(_RUN + line, imports)


def _class(body: str, imports: str = "") -> str:
    return f"{imports}{HEAD}class Small:\n{body}\n"


def _tried(handler: str) -> str:
    return _class(f"{_SHIELDED}try:\n            {_PAY}\n        {handler}")


BAD: dict[str, list[str]] = {
    "W001": [
        _run("started = datetime.now()", "from datetime import datetime\n"),
        _run("started = datetime.datetime.utcnow()", "import datetime\n"),
        _run("today = date.today()", "from datetime import date\n"),
        _run("started = time.monotonic()", "import time\n"),
        _run("started = monotonic()", "from time import monotonic\n"),
        _run("row = now()", _PASSED + "from models.tables.columns import now\n"),
    ],
    "W002": [
        _run("order_id = uuid4()", "from uuid import uuid4\n"),
        _run("chosen = random.choice([1, 2])", "import random\n"),
        _run("token = secrets.token_hex()", "import secrets\n"),
        _run("token = os.urandom(4)", "import os\n"),
        _run("bucket = hash('student') % 10"),
        _run(
            "made = new_id()",
            _PASSED + "from models.identifiers import new_id\n",
        ),
    ],
    "W003": [
        _run("file = open('/etc/hosts')"),
        _run("home = os.environ['HOME']", "import os\n"),
        _run("home = getenv('HOME')", "from os import getenv\n"),
        _run("text = Path('x').read_text()", "from pathlib import Path\n"),
        _run("socket.create_connection(('localhost', 80))", "import socket\n"),
        _run("subprocess.run(['ls'])", "import subprocess\n"),
        _run(
            "await httpx.AsyncClient().get('http://x')",
            _PASSED + "import httpx\n",
        ),
    ],
    "W004": [
        _run("print('here')"),
        _run("logging.getLogger(__name__).info('here')", "import logging\n"),
    ],
    "W005": [
        _run("for each in {1, 2}:\n            pass"),
        _run("made = [each for each in set([1, 2])]"),
        _run("made = list(frozenset([1, 2]))"),
        _run("made = ', '.join({str(each) for each in (1, 2)})"),
        _class(
            "    def __init__(self) -> None:\n        self._seen: set[str] = set()\n\n"
            + _RUN
            + "for each in self._seen:\n            pass"
        ),
        _class(
            _RUN + "pass\n\n    def told(self, words: frozenset[str]) -> tuple[str, ...]:\n        return (*words,)"
        ),
        _run("first, second = {1}, {2}\n        for each in {'a': 1}.keys() - {'b': 1}.keys():\n            pass"),
        _run("left = {1, 2}\n        each = left.pop()"),
    ],
    "W006": [
        _run("await asyncio.wait([asyncio.create_task(self._x())])\n\n    async def _x(self) -> None:\n        pass"),
        _run("for each in asyncio.as_completed([]):\n            await each"),
    ],
    "W007": [
        _class(f"{_SHIELDED}{_LOCAL}\n{_HANDLER}{_LOCAL}"),
        _class(f"{_SHIELDED}await asyncio.gather(self._x(), self._x()){_TASK}{_LOCAL}"),
        _class(f"{_WITH_LOCK}{_SHIELDED}{_LOCAL}\n{_HANDLER}{_LOCKED}"),
    ],
    "W008": [
        _run("await asyncio.sleep(5)"),
        _run("await workflow.sleep(5)"),
        _run("await asyncio.wait_for(self._x(), 5)\n\n    async def _x(self) -> None:\n        pass"),
    ],
    "W009": [
        _run("threading.Thread(target=print).start()", "import threading\n"),
        _run("await asyncio.to_thread(sorted, [])"),
        _run("await asyncio.get_running_loop().run_in_executor(None, sorted, [])"),
        _run("pool = ThreadPoolExecutor()", "from concurrent.futures import ThreadPoolExecutor\n"),
    ],
    "W010": [
        _run(f"{_STEP}summary='Mail', **MAIL)"),
        _run("self._x()\n\n    async def _x(self) -> None:\n        pass"),
        _run("workflow.get_external_workflow_handle('order').signal('wake')"),
    ],
    "W011": [
        _run(f"await {_STEP}summary='Mail', heartbeat_timeout=timedelta(seconds=9))"),
        _run("await workflow.execute_local_activity_method(OrderActivities.place_order, None, summary='Place it')"),
    ],
    "W012": [
        _run(f"await {_STEP}summary='Mail', start_to_close_timeout=timedelta(minutes=1))"),
        _run(f"await {_STEP}summary='Mail', **RECORD)"),
    ],
    "W013": [
        _run(f"await {_STEP}**MAIL)"),
        _run("await workflow.execute_child_workflow('Other', id='a', id_reuse_policy=1, parent_close_policy=1)"),
        _run(
            "try:\n            await workflow.wait_condition(bool, timeout=5)\n"
            "        except TimeoutError:\n            pass"
        ),
    ],
    "W014": [
        _run("await workflow.wait_condition(bool, timeout=5, timeout_summary='Five')"),
        _run(
            "try:\n            await workflow.wait_condition(bool, timeout=5, timeout_summary='Five')\n"
            "        except ValueError:\n            pass"
        ),
    ],
    "W015": [f"{_IMPORTS}\n@workflow.defn\nclass Small:\n{_RUN}pass\n"],
    "W016": [
        _run(f"{_END}\n{_HANDLER}raise ValueError('too late')"),
        _class(
            f"{_RUN}{_END}\n{_HANDLER}pass\n\n    @again.validator\n    def _check(self) -> None:\n"
            "        raise KeyError('who')"
        ),
        _run("raise self._trouble()\n\n    def _trouble(self) -> Exception:\n        return RuntimeError()"),
    ],
    "W017": [
        _tried("except Exception:\n            return"),
        _tried("except Exception as error:\n            raise error"),
        _tried("except BaseException:\n            return"),
        _tried("except:\n            return"),
        _tried("except (ValueError, Exception):\n            return"),
    ],
    "W018": [
        _run(_PAY),
        _class(f"{_RUN}await self._story()\n\n    async def _story(self) -> None:\n        {_PAY}"),
        _class(
            f"{_RUN}await asyncio.create_task(self._story())\n\n    async def _story(self) -> None:\n        {_PAY}"
        ),
    ],
    "W019": [
        _run("for each in ('a', 'b'):\n            workflow.patched(each)"),
        _run("if workflow.patched('new'):\n            pass\n        if workflow.patched('new'):\n            pass"),
        _run("workflow.patched(f'new-{1}')"),
    ],
    "W020": [
        _run("pass", "from models.money import Money\n"),
        _run("pass", "import stripe\n"),
        _run("from models.money import Money"),
    ],
    "W021": [
        _class(f"{_RUN}self._anew()\n\n    def _anew(self) -> None:\n        workflow.continue_as_new()"),
        _run(f"{_END}\n{_HANDLER}workflow.continue_as_new()"),
    ],
    "W022": [_class(f"{_RUN}pass\n{_HANDLER}await workflow.sleep(1, summary='A second')")],
    "W023": [_run("await workflow.start_child_workflow('Other', id='other', static_summary='Other')")],
}

GOOD: dict[str, list[str]] = {
    "W001": [
        _run("started = workflow.now()"),
        _run("noon = time(12)", "from datetime import time\n"),
        _run("length = timedelta(days=1)"),
    ],
    "W002": [_run("order_id = workflow.uuid4()"), _run("chosen = workflow.random().choice([1, 2])")],
    "W003": [_run(f"await {_STEP}summary='Mail', **MAIL)"), _run("name = os.path.join('a', 'b')", "import os\n")],
    "W004": [_run("workflow.logger.info('here')")],
    "W005": [
        _run("for each in sorted({1, 2}):\n            pass"),
        _run("known = 1 in {1, 2} and any(each > 1 for each in {1, 2})"),
        _run("for each in dict.fromkeys([1, 2]):\n            pass"),
        _run("most = max({1, 2}), len({1, 2}), sum(each for each in {1, 2})"),
    ],
    "W006": [_run("await asyncio.gather(self._x())\n\n    async def _x(self) -> None:\n        pass")],
    "W007": [
        _class(f"{_WITH_LOCK}{_SHIELDED}{_LOCKED}\n{_HANDLER}{_LOCKED}"),
        _class(f"{_SHIELDED}{_LOCAL}\n{_HANDLER}{_PAY}"),
        _run(f"{_LOCAL}\n        {_LOCAL}"),
    ],
    "W008": [_run("await workflow.sleep(5, summary='Five seconds')")],
    "W009": [_run("story = asyncio.create_task(self._x())\n\n    async def _x(self) -> None:\n        pass")],
    "W010": [
        _run(f"await {_STEP}summary='Mail', **MAIL)"),
        _run("await self._x()\n\n    async def _x(self) -> None:\n        pass"),
        _run("await workflow.get_external_workflow_handle('order').signal('wake')"),
    ],
    "W011": [_run(f"await {_STEP}summary='Mail', **MAIL)")],
    "W012": [
        _run(f"await {_STEP}summary='Mail', start_to_close_timeout=timedelta(seconds=10))"),
        _run(f"await {_STEP}summary='Mail', **MAIL)"),
    ],
    "W013": [_run(f"await {_STEP}summary='Mail', **MAIL)"), _run("await workflow.wait_condition(bool)")],
    "W014": [
        _run(
            "try:\n            await workflow.wait_condition(bool, timeout=5, timeout_summary='Five')\n"
            "        except TimeoutError:\n            pass"
        ),
        _run("await workflow.wait_condition(bool, timeout=None)"),
    ],
    "W015": [_run("pass")],
    "W016": [
        _run(f"{_END}\n{_HANDLER}raise refusal(Reason.INTERNAL, 'It came too late.')"),
        _run("raise self_made()\n\n", "def self_made() -> Exception:\n    return refusal(Reason.INTERNAL, 'No.')\n"),
        _run("try:\n            pass\n        except ValueError as error:\n            raise error"),
        f"{_IMPORTS}\n@workflow.defn(failure_exception_types=[Exception], versioning_behavior=1)\nclass Small:\n{_RUN}"
        "raise ValueError('it fails')\n",
    ],
    "W017": [
        _tried("except ActivityError:\n            return"),
        _tried("except BaseException:\n            self._done = False\n            raise"),
        _run("try:\n            pass\n        except Exception:\n            pass"),
    ],
    "W018": [_class(f"{_SHIELDED}{_PAY}"), _run(f"await {_STEP}summary='Mail', **MAIL)")],
    "W019": [
        _run("if workflow.patched('new'):\n            pass"),
        _run("if workflow.patched(NEW):\n            pass", "NEW = 'new'\n"),
    ],
    "W020": [_run("pass"), _run("pass", "import json\nfrom temporalio.exceptions import ActivityError\n")],
    "W021": [_run("workflow.continue_as_new()")],
    "W022": [
        _class(f"{_RUN}{_END}\n{_HANDLER}await workflow.sleep(1, summary='A second')"),
        _class(f"{_SHIELDED}pass\n{_HANDLER}await workflow.sleep(1, summary='A second')"),
    ],
    "W023": [
        _run(
            "await workflow.start_child_workflow('Other', id='other', static_summary='Other', id_reuse_policy=1, "
            "parent_close_policy=1)"
        ),
    ],
}
