"""The tables and statements of runs whose jobs wait in a PostgreSQL database for workers.

A run has its jobs with their whole inputs, in chunks that one worker at a time takes. Its submissions are in the table
of the journal of the same name. The names of tables and columns are a contract, as those of the journal are.
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = [
    "CANCELLED_RUNS",
    "CHANGES",
    "CHUNKS_OF_WORKERS",
    "CHUNK_OF",
    "CHUNK_STATES",
    "CLOSE",
    "COPY_CHUNKS",
    "COPY_JOBS",
    "COUNT",
    "CREATE_RUN",
    "ENDED_SINCE",
    "FIND_RUN",
    "HOLD_CHUNKS",
    "JOBS_IN_ORDER",
    "JOBS_OF_CHUNK",
    "JOB_WITH_KEY",
    "LOCK_RUN",
    "MACHINES",
    "MARK_ENDED",
    "MARK_QUEUED",
    "MOVE_JOBS",
    "NEWEST",
    "NEW_CHUNK",
    "NUMBERS_ENDED",
    "OPEN_CHUNK",
    "OPEN_CHUNKS",
    "PROVIDERS_NEEDED",
    "PROVIDERS_OF_RUN",
    "PROVIDERS_THERE",
    "QUEUE_TABLES",
    "RECALL_JOBS",
    "REOPEN_CHUNKS",
    "RUN_NAMES",
    "RUN_TIMES",
    "SETTLE_CHUNKS",
    "SET_SETTINGS",
    "START",
    "SUBMISSIONS_OF",
    "SUBMISSIONS_WITH",
    "WAITING",
]

QUEUE_TABLES: Final[tuple[LiteralString, ...]] = (
    """CREATE TABLE kling_async.runs (
        run text COLLATE "C" PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY,
        id uuid NOT NULL DEFAULT gen_random_uuid(), source text NOT NULL,
        jobs bigint NOT NULL, digest text NOT NULL, settings text NOT NULL, max_cost numeric,
        last_ended bigint NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )""",
    """CREATE TABLE kling_async.chunks (
        run text COLLATE "C" NOT NULL, chunk integer NOT NULL, providers text[] NOT NULL, state text NOT NULL,
        round integer NOT NULL DEFAULT 1, worker text, reason text, PRIMARY KEY (run, chunk)
    )""",
    "CREATE INDEX chunks_open ON kling_async.chunks (run, chunk) WHERE state IN ('waiting', 'queued')",
    """CREATE TABLE kling_async.jobs (
        run text COLLATE "C" NOT NULL, position bigint NOT NULL, key text COLLATE "C" NOT NULL, chunk integer NOT NULL,
        body text NOT NULL, ended bigint, status text, result text, PRIMARY KEY (run, position), UNIQUE (run, key)
    )""",
    "CREATE INDEX jobs_of_chunk ON kling_async.jobs (run, chunk)",
    "CREATE INDEX jobs_ended ON kling_async.jobs (run, ended) WHERE ended IS NOT NULL",
    """CREATE TABLE kling_async.machines (
        name text COLLATE "C" PRIMARY KEY, id bigint GENERATED ALWAYS AS IDENTITY, expires_at timestamptz NOT NULL,
        providers text[] NOT NULL, facts text NOT NULL
    )""",
)
"""Of a run, `id` tells it from an earlier one of the same name, of which the queue may still know. Of a chunk, `state`
is waiting, queued, held or done; `round` counts how often it was given back; and `reason` says why it is held. Of a
job, `ended` numbers the ends of a run's jobs in the order in which they became visible, and `status` is the status
then. Of a worker, `id` is that of one start.
"""

FIND_RUN: Final = "SELECT source, jobs, digest, settings, max_cost FROM kling_async.runs WHERE run = %s"
CREATE_RUN: Final[LiteralString] = """
    INSERT INTO kling_async.runs (run, source, jobs, digest, settings, max_cost) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (run) DO NOTHING RETURNING number
"""
SET_SETTINGS: Final = "UPDATE kling_async.runs SET settings = %s, max_cost = %s WHERE run = %s"
COPY_JOBS: Final[LiteralString] = "COPY kling_async.jobs (run, position, key, chunk, body) FROM STDIN"
COPY_CHUNKS: Final[LiteralString] = "COPY kling_async.chunks (run, chunk, providers, state) FROM STDIN"
RUN_NAMES: Final[LiteralString] = "SELECT run, jobs FROM kling_async.runs ORDER BY number DESC LIMIT 20"
RUN_TIMES: Final[LiteralString] = (
    "SELECT run, extract(epoch FROM created_at)::float8 FROM kling_async.runs ORDER BY number DESC"
)

WAITING: Final[LiteralString] = """
    SELECT run, chunk, round, chunks.providers, runs.id::text FROM kling_async.chunks JOIN kling_async.runs USING (run)
    WHERE state = 'waiting' AND providers <@ %s::text[] ORDER BY runs.number, chunk LIMIT %s
"""
OPEN_CHUNKS: Final = (
    "SELECT count(*) FROM kling_async.chunks WHERE state = 'queued' AND worker IS NULL AND providers <@ %s::text[]"
)
PROVIDERS_NEEDED: Final[LiteralString] = """
    SELECT providers, count(*) FROM kling_async.chunks WHERE state IN ('waiting', 'queued') GROUP BY providers
"""
PROVIDERS_OF_RUN: Final[LiteralString] = """
    SELECT DISTINCT unnest(providers) AS provider FROM kling_async.chunks
    WHERE run = %s AND state <> 'done' ORDER BY provider
"""
PROVIDERS_THERE: Final[LiteralString] = """
    SELECT DISTINCT unnest(providers) FROM kling_async.machines WHERE expires_at > clock_timestamp()
"""
MACHINES: Final[LiteralString] = """
    SELECT name, providers, facts, extract(epoch FROM expires_at - clock_timestamp()) FROM kling_async.machines
    ORDER BY name
"""
"""The clock of the database alone decides how long a lease lasts."""
MARK_QUEUED: Final[LiteralString] = """
    UPDATE kling_async.chunks SET state = 'queued', worker = NULL
    WHERE run = %s AND chunk = %s AND round = %s AND state = 'waiting'
"""
START: Final[LiteralString] = """
    UPDATE kling_async.chunks SET state = 'queued', worker = %s
    WHERE run = %s AND chunk = %s AND round = %s AND state IN ('waiting', 'queued') RETURNING providers
"""
JOBS_OF_CHUNK: Final[LiteralString] = """
    SELECT body FROM kling_async.jobs WHERE run = %s AND chunk = %s AND ended IS NULL ORDER BY position
"""
CLOSE: Final[LiteralString] = """
    UPDATE kling_async.chunks SET worker = NULL,
    state = CASE WHEN rest.is_done THEN 'done' WHEN state <> 'held' AND %(reason)s::text IS NULL THEN 'waiting'
        ELSE 'held' END,
    reason = CASE WHEN rest.is_done THEN NULL WHEN state = 'held' THEN reason ELSE %(reason)s END,
    round = round + CASE WHEN rest.is_done THEN 0 ELSE 1 END
    FROM (SELECT NOT EXISTS (
        SELECT FROM kling_async.jobs WHERE run = %(run)s AND chunk = %(chunk)s AND ended IS NULL
    ) AS is_done) AS rest
    WHERE run = %(run)s AND chunk = %(chunk)s AND round = %(round)s AND state IN ('waiting', 'queued', 'held')
"""
"""A chunk that was held while a worker had it stays held."""
NUMBERS_ENDED: Final[LiteralString] = """
    UPDATE kling_async.runs SET last_ended = last_ended + %s WHERE run = %s RETURNING last_ended - %s
"""
"""The lock of the row lasts until the commit, so that numbers become visible in their order."""
MARK_ENDED: Final[LiteralString] = """
    UPDATE kling_async.jobs AS jobs SET ended = %(before)s + given.place, status = given.status, result = given.result
    FROM unnest(%(keys)s::text[], %(chunks)s::integer[], %(statuses)s::text[], %(results)s::text[])
    WITH ORDINALITY AS given (key, chunk, status, result, place)
    WHERE jobs.run = %(run)s AND jobs.key = given.key AND jobs.chunk = given.chunk AND jobs.ended IS NULL
"""
"""A job that was retried since is in another chunk, and the end of its earlier attempt is not that of this one."""
ENDED_SINCE: Final[LiteralString] = """
    SELECT ended, key, body, result FROM kling_async.jobs WHERE run = %s AND ended > %s ORDER BY ended LIMIT %s
"""
JOBS_IN_ORDER: Final[LiteralString] = """
    SELECT position, key, body, result FROM kling_async.jobs WHERE run = %s AND position > %s ORDER BY position LIMIT %s
"""
JOB_WITH_KEY: Final[LiteralString] = (
    "SELECT position, key, body, result FROM kling_async.jobs WHERE run = %s AND key = %s"
)
SUBMISSIONS_WITH: Final[LiteralString] = """
    SELECT body FROM kling_async.submissions WHERE run = %s AND position(%s IN body) > 0 ORDER BY number
"""
SUBMISSIONS_OF: Final[LiteralString] = """
    SELECT body FROM kling_async.submissions WHERE run = %s AND key = ANY(%s) ORDER BY number
"""
CHUNK_STATES: Final[LiteralString] = """
    SELECT CASE WHEN state = 'held' AND worker IS NOT NULL THEN 'queued' ELSE state END AS state, count(*), min(reason)
    FROM kling_async.chunks WHERE run = %s GROUP BY 1
"""
"""A chunk that was held while a worker has it is not, before that has finished what is paid for."""
NEWEST: Final[LiteralString] = """
    SELECT DISTINCT ON (key) key, state, unsaved, sum(paid) OVER (PARTITION BY key) AS paid,
    state = 'unconfirmed' AND body LIKE '%%,"decision":"abandoned","planned_at":%%' AS abandoned,
    state = 'unconfirmed' AND body LIKE '%%,"decision":"resubmitted","planned_at":%%' AS resubmitted
    FROM kling_async.submissions WHERE run = %s ORDER BY key, attempt DESC
"""
"""The text is searched and not read as JSON, which PostgreSQL refuses for prompts with lone surrogates."""
COUNT: Final[LiteralString] = f"""
    SELECT jobs.status, newest.state, newest.abandoned, newest.resubmitted, count(*), coalesce(sum(newest.paid), 0),
    count(*) FILTER (WHERE newest.paid = 0)
    FROM kling_async.jobs LEFT JOIN ({NEWEST}) AS newest USING (key) WHERE jobs.run = %s GROUP BY 1, 2, 3, 4
"""  # noqa: S608 - of constants
RECALL_JOBS: Final[LiteralString] = f"""
    UPDATE kling_async.jobs SET ended = NULL, status = NULL, result = NULL
    WHERE run = %s AND ended IS NOT NULL AND status <> 'cancelled' AND key IN (
        SELECT jobs.key FROM kling_async.jobs LEFT JOIN ({NEWEST}) AS newest USING (key)
        WHERE jobs.run = %s AND jobs.ended IS NOT NULL AND (
            newest.key IS NULL OR newest.unsaved AND %s OR newest.state IN ('planned', 'accepted', 'resolving')
            OR newest.resubmitted OR newest.state = 'ended' AND jobs.status IN ('planned', 'accepted', 'unconfirmed')
        )
    )
"""  # noqa: S608 - of constants
"""What a further run would do something for: it is not submitted, not finished, not saved, or to be submitted again.

What was cancelled before it was submitted is not: that was a decision.
"""
REOPEN_CHUNKS: Final[LiteralString] = """
    UPDATE kling_async.chunks AS chunks SET state = 'waiting', round = round + 1, reason = NULL, worker = NULL
    WHERE run = %s AND state IN ('held', 'done') AND EXISTS (
        SELECT FROM kling_async.jobs AS jobs
        WHERE jobs.run = chunks.run AND jobs.chunk = chunks.chunk AND jobs.ended IS NULL
    )
"""

CHANGES: Final[LiteralString] = """
    SELECT concat_ws(' ', count(*), sum(xmin::text::bigint)) FROM kling_async.jobs WHERE run = %s UNION ALL
    SELECT concat_ws(' ', count(*), sum(xmin::text::bigint)) FROM kling_async.submissions WHERE run = %s UNION ALL
    SELECT concat_ws(' ', count(*), sum(xmin::text::bigint)) FROM kling_async.chunks WHERE run = %s
"""
"""Each change of a row has the number of its transaction, and no row is read for it beyond that."""

NEW_CHUNK: Final[LiteralString] = """
    INSERT INTO kling_async.chunks (run, chunk, providers, state)
    SELECT %(run)s, coalesce(max(chunk), 0) + 1, %(providers)s::text[], 'done' FROM kling_async.chunks
    WHERE run = %(run)s RETURNING chunk
"""
"""Without jobs a chunk is done. The lock of the run's row keeps two of them from having one number."""
MOVE_JOBS: Final[LiteralString] = """
    UPDATE kling_async.jobs AS jobs SET ended = NULL, status = NULL, result = NULL, chunk = %(chunk)s, body = given.body
    FROM unnest(%(keys)s::text[], %(bodies)s::text[]) AS given (key, body)
    WHERE jobs.run = %(run)s AND jobs.key = given.key
"""
OPEN_CHUNK: Final = "UPDATE kling_async.chunks SET state = 'waiting' WHERE run = %s AND chunk = %s"
LOCK_RUN: Final = "SELECT FROM kling_async.runs WHERE run = %s FOR UPDATE"
CHUNK_OF: Final[LiteralString] = """
    SELECT key, chunk, status FROM kling_async.jobs WHERE run = %s AND key = ANY(%s) ORDER BY key FOR UPDATE
"""
"""A job that has not ended has no status."""
HOLD_CHUNKS: Final[LiteralString] = """
    UPDATE kling_async.chunks SET state = 'held', reason = %s WHERE run = %s AND state IN ('waiting', 'queued')
"""
"""The worker of a chunk stays in its row, so that it learns of it; the chunk is of the same round until it has."""
CANCELLED_RUNS: Final[LiteralString] = """
    SELECT DISTINCT run FROM kling_async.chunks JOIN unnest(%s::text[], %s::integer[], %s::integer[])
    AS given (run, chunk, round) USING (run, chunk, round) WHERE state = 'held'
"""
CHUNKS_OF_WORKERS: Final[LiteralString] = """
    SELECT chunk, worker IS NOT NULL FROM kling_async.chunks WHERE run = %s AND chunk = ANY(%s)
    ORDER BY chunk FOR UPDATE
"""
SETTLE_CHUNKS: Final[LiteralString] = """
    UPDATE kling_async.chunks AS chunks SET state = 'done', reason = NULL
    WHERE run = %s AND state = 'held' AND worker IS NULL AND NOT EXISTS (
        SELECT FROM kling_async.jobs AS jobs
        WHERE jobs.run = chunks.run AND jobs.chunk = chunks.chunk AND jobs.ended IS NULL
    )
"""
