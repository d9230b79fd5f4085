"""The queue of many machines: chunks of jobs as workflows of DBOS, in the database that has the journal.

Theory of operation. DBOS keeps a workflow per chunk and round, and gives it to one worker at a time, which pulls it.
The workflow is only a number: whatever it does is in our own tables, and each of its jobs is claimed in the journal. So
it may run twice. A worker that starts again under its name is given its workflows by DBOS itself; those of a worker
that is gone are resumed by whichever finds its lease ended.

A queue serves one set of providers, and a worker pulls from those whose providers it all has API keys for. What DBOS
recovers comes through a queue of its own, which every worker serves: one without the keys gives such a chunk back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final

from ..journal.hidden_url import HiddenUrl
from ..journal.postgres_url import DatabaseUrl
from ..journal.queue_values import Chunk
from ..types.errors import InputError, InputFault, JournalError

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["CHUNKS_AT_ONCE", "DbosQueue"]

CHUNKS_AT_ONCE: Final = 16
"""Chunks that a worker has at once for one set of providers."""
_SCHEMA: Final = "kling_async_dbos"
_VERSION: Final = "1"
"""Of what a workflow is: workers of different versions of this package take each other's as long as it is the same."""
_WORKFLOW: Final = "kling_async.chunk"
_POLL_SECONDS: Final = 0.5
_CONNECTIONS: Final = 4
_ADVICE: Final = "Nothing is lost: the worker goes on when it is started again."
_RIGHTS: Final = "Nothing was sent. The user of the URL needs the right to create the schema {schema}, and to use it."


class DbosQueue:
    """The queue, as one worker serves it. A process has one at a time.

    Args:
        url: the database.
        worker: the name of the worker, which is the id of its executor at DBOS.
        providers: those that it has an API key for.
        run_chunk: does a chunk, in a thread of its own; it must not raise.

    Raises:
        InputError: the URL is malformed, or the extra `dbos` is not installed.
    """

    def __init__(
        self, url: HiddenUrl, *, worker: str, providers: Sequence[str], run_chunk: Callable[[Chunk], None]
    ) -> None:
        if find_spec("dbos") is None:
            fault = InputFault("dbos", None, "is an extra: pip install 'kling-async[dbos]'")
            raise InputError.of("A worker needs the queue DBOS", [fault])
        self._url = DatabaseUrl(url, setting="database")
        self._worker = worker
        self._queues = [_queue_of(names) for names in _subsets(sorted(providers))]
        self._run_chunk = run_chunk
        self._registered: set[str] = set()
        self._engine: Engine | None = None

    def start(self) -> None:
        """Begin to pull chunks, and those first that this worker had when it was killed. It blocks.

        Raises:
            JournalError: the database cannot be used.
        """
        from dbos import DBOS, WorkflowSerializationFormat  # noqa: PLC0415 - an extra
        from sqlalchemy import create_engine  # noqa: PLC0415 - an extra

        _quiet(self._url)
        self._engine = create_engine(
            "postgresql+psycopg://", creator=self._connect, pool_size=_CONNECTIONS, max_overflow=4, pool_pre_ping=True
        )

        def chunk(run: str, number: int, round: int) -> None:
            self._run_chunk(Chunk(run, number, round))

        portable = WorkflowSerializationFormat.PORTABLE  # JSON: what is in the database must not be run as code
        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None, serialization_type=portable)(chunk)
        DBOS(
            config={
                "name": "kling_async",
                "system_database_engine": self._engine,
                "dbos_system_schema": _SCHEMA,
                "executor_id": self._worker,
                "application_version": _VERSION,
                "use_listen_notify": False,
                "log_level": "ERROR",
            }
        )
        DBOS.listen_queues(self._queues)
        try:
            DBOS.launch()
        except Exception as error:  # noqa: BLE001 - of any library; its frames have the connection
            raise self._unusable(error) from None

    def _connect(self) -> object:
        connection = self._url.connect()
        connection.autocommit = False
        return connection

    def put(self, chunks: Iterable[Chunk]) -> None:
        """Put chunks into the queue; one that is there already stays as it is. It blocks, and raises JournalError."""
        from dbos import DBOS, WorkflowSerializationFormat  # noqa: PLC0415 - an extra

        try:
            for one in chunks:
                queue = _queue_of(sorted(one.providers))
                self._register(queue)
                DBOS.enqueue_workflow_with_options(
                    {
                        "workflow_name": _WORKFLOW,
                        "queue_name": queue,
                        "workflow_id": f"{one.run_id}/{one.number}/{one.round}",
                        "app_version": _VERSION,
                        "serialization_type": WorkflowSerializationFormat.PORTABLE,
                    },
                    one.run,
                    one.number,
                    one.round,
                )
        except Exception as error:  # noqa: BLE001 - as above
            raise self._unusable(error) from None

    def take_over(self, workers: Sequence[str]) -> int:
        """Let others run the chunks of workers that are gone, and return their number. It blocks, as `put` does."""
        from dbos import DBOS  # noqa: PLC0415 - an extra

        try:
            found = DBOS.list_workflows(
                executor_id=list(workers), status="PENDING", name=_WORKFLOW, load_input=False, load_output=False
            )
            by_queue: dict[str, list[str]] = {}
            for one in found:
                by_queue.setdefault(one.queue_name or "", []).append(one.workflow_id)
            for queue, ids in by_queue.items():
                DBOS.resume_workflows(ids, queue_name=queue or None)
        except Exception as error:  # noqa: BLE001 - as above
            raise self._unusable(error) from None
        return len(found)

    def stop(self, *, patience: int) -> None:
        """Pull no more chunks, and wait so many seconds for those that this worker has. It blocks."""
        from dbos import DBOS  # noqa: PLC0415 - an extra

        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)
        if self._engine is not None:
            self._engine.dispose()

    def _register(self, queue: str) -> None:
        from dbos import DBOS  # noqa: PLC0415 - an extra

        if queue not in self._registered:
            DBOS.register_queue(queue, worker_concurrency=CHUNKS_AT_ONCE, polling_interval_sec=_POLL_SECONDS)
            self._registered.add(queue)

    def _unusable(self, error: Exception) -> JournalError:
        message = f"The database {self._url} cannot be used by the queue: {self._url.masked(str(error))}"
        is_denied = "permission denied" in message
        return JournalError(message, advice=_RIGHTS.format(schema=_SCHEMA) if is_denied else _ADVICE)


def _queue_of(providers: Sequence[str]) -> str:
    return "+".join(providers)


def _subsets(providers: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """Return each set of providers, without the empty one: at most some hundred, and only their names are compared."""
    return chain.from_iterable(combinations(providers, size) for size in range(1, len(providers) + 1))


class _OneLine(logging.Formatter):
    """Writes what DBOS has to say on one line, without a traceback and without the secrets of the database."""

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__("queue: %(message)s")
        self._url = url

    def format(self, record: logging.LogRecord) -> str:
        record.exc_info = record.exc_text = None
        return self._url.masked(super().format(record))


def _quiet(url: DatabaseUrl) -> None:
    handler, log = logging.StreamHandler(), logging.getLogger("dbos")
    handler.setFormatter(_OneLine(url))
    log.handlers[:] = [handler]
    log.propagate = False
