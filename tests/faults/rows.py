"""The fault matrix as a table: what is broken, what must hold, and by when. Tests named `test_row_NN_...` prove it.

The page of the documentation is made from this table and from the docstrings of those tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

__all__ = ["ROWS", "Proof", "Row", "proofs"]


@frozen
class Row:
    """One fault.

    Attributes:
        number: its number, which the names of its tests hold.
        fault: what is broken.
        holds: what must hold all the same, with its bound.
        missing: why no test proves it here; empty where one does.
    """

    number: int
    fault: str
    holds: str
    missing: str = ""


@frozen
class Proof:
    """One test of a row.

    Attributes:
        name: the test's name.
        says: the rule that it proves, from its docstring.
        pending: why it is known to fail; empty where it passes.
    """

    name: str
    says: str
    pending: str = ""


ROWS = (
    Row(1, "Killed at random (SIGKILL)", "No job is paid twice, no id that was reported is lost."),
    Row(2, "Killed at each step of input and output", "The same, at every step."),
    Row(
        3,
        "Power loss",
        "What was committed is there; nothing is corrupt.",
        "It needs a file system below SQLite that forgets what was not flushed, such as a VFS of apsw, which is no"
        " dependency of the tests.",
    ),
    Row(
        4,
        "Connection reset or closed before the answer to a submission",
        "Unconfirmed within 1 s; 1 request, 0 retries.",
    ),
    Row(
        5,
        "The same on a connection that was used before",
        "A submission is unconfirmed, 0 retries; a poll is asked again.",
    ),
    Row(
        6,
        "Half a head, half a body, half a chunk, a reset in the middle",
        "A submission is unconfirmed; a poll is asked again; a download goes on where it stopped, and no file has its"
        " name before it is whole.",
    ),
    Row(
        7,
        "A body without a length, then the end of the connection",
        "JSON that is cut is not read; a file is taken only if it ends where its own structure says.",
    ),
    Row(
        8,
        "JSON that is cut, invalid, too deep, of huge numbers, of another charset",
        "An error of ours, with the id where there is one; never a second submission.",
    ),
    Row(
        9,
        "A page or a picture in place of JSON, JSON in place of a picture",
        "A submission is unconfirmed; a poll is asked again until the caller's deadline; no file.",
    ),
    Row(10, "HTTP 200 with an envelope that says no", "Judged by the code in the envelope; only 429 is sent again."),
    Row(
        11,
        "Every submission is answered 500, 502, 503 or 504",
        "Each job is unconfirmed after 1 request; a batch stops after a handful.",
    ),
    Row(
        12,
        "Every poll is answered 502 for a while",
        "All jobs finish; looks become as rare as one in 30 s per job; no second submission.",
    ),
    Row(
        13,
        "429 with every kind of Retry-After",
        "The whole account waits what is asked, at most 300 s; what is no time is ignored; 8 tries at most.",
    ),
    Row(
        14,
        "401 or 403 in the middle of a run",
        "At most as many further submissions as were on their way; what was accepted is polled and saved.",
    ),
    Row(15, "A head or a body that trickles; try after try that fails", "The call ends by its deadline + 1 s."),
    Row(16, "Interim answers (1xx) without end", "The exchange ends by its deadline + 1 s."),
    Row(17, "A header of 200 KB, a status line of nonsense", "A submission is unconfirmed; a poll is asked again."),
    Row(
        18,
        "TLS: untrusted, expired, another host's; plain port; alert; silence",
        "Nothing is sent: 0 requests are seen; a wrong certificate is not tried twice.",
    ),
    Row(
        19,
        "Names: not found, slow, flapping, without address, leading inside, changing",
        "Nothing is sent; 3 tries; names that lead inside are refused; what was checked is what is connected to.",
    ),
    Row(
        20,
        "All connections are in use",
        "Who waits is served, or told by his own deadline that nothing was sent.",
    ),
    Row(21, "Disk full before a submission", "It is not sent: 0 charges."),
    Row(22, "Disk full between a submission and its record", "The id is not lost."),
    Row(
        23,
        "Disk full, or a quota, during a download",
        "No file by its name; the prediction is kept; a later call goes on and finishes.",
    ),
    Row(24, "Read-only directory or journal, no permission, no descriptors", "It fails before money is spent."),
    Row(
        25,
        "A second process on one journal, by whatever path: links, hard links, relative",
        "A clear error at once.",
    ),
    Row(
        26,
        "Journal corrupt, cut, of another kind, from the future; bits flipped in it or in its log",
        "It is not opened, and never begun again; a flip that is not noticed changes nothing.",
    ),
    Row(27, "Cancelled at every await", "No id is lost."),
    Row(28, "A sibling fails; Ctrl-C; SIGTERM; the loop is closed", "Submissions on their way end first."),
    Row(
        29,
        "The machine's clock is set; the machine sleeps",
        "Waits go on as before; after a sleep no id is lost, and waiting can be taken up.",
    ),
    Row(
        30,
        "Replies that contradict themselves: ids, statuses, outputs",
        "The first id counts; finished stays finished; an unknown word is running; no output is a failure.",
    ),
    Row(
        31,
        "Bodies of 200 MiB, endless, compressed; longer or shorter than declared",
        "4 MiB are read of an API reply, and 8 MiB of memory are used over that; no reply is taken for another's.",
    ),
    Row(
        32,
        "Redirects: to another host, to http, in circles, of a submission",
        "No API request follows one; a submission is unconfirmed; a file follows 3, each checked; 0 bytes of the key at"
        " another host.",
    ),
    Row(
        33,
        "Addresses that lead into the user's network, in every spelling",
        "0 connections; the prediction stays as it is.",
    ),
    Row(
        34,
        "Keys, ids and file names that are paths, devices, too long, look-alikes",
        "Files stay in their directory, under a name of ours; such an id is none.",
    ),
    Row(35, "A link, a file or a directory lies where a file is to be", "Never followed; not replaced unless asked."),
    Row(
        36,
        "Going on with a download: Range ignored, another part, another version, 416, weak tag",
        "The file is the server's bytes, of one version.",
    ),
    Row(
        37,
        "The output's address has expired (403, 404, 410)",
        "It is asked for anew, with 2 extra polls at most; else an error that keeps the id.",
    ),
    Row(
        38,
        "The key in logs, reprs, errors, tracebacks with locals, pickles, files, output",
        "0 hits, in this row and in every other.",
    ),
    Row(39, "The store of a shared limiter is down", "No submission over the rate.", "There is no shared limiter."),
    Row(40, "A shared database is restarted", "0 jobs paid twice, 0 lost.", "There is no shared journal."),
    Row(
        41,
        "Thousands of jobs, some of each of the faults 4 to 13",
        "Each job is over or unconfirmed; the books balance: charged = accepted + some of the unconfirmed.",
    ),
    Row(
        42,
        "The key repeated compressed, in UTF-16, or escaped; in a name, an id, a page, a line that cannot be read",
        "0 hits in errors, predictions, journals, output and logs of ours.",
    ),
    Row(
        43,
        "Control codes, codes of the reading direction, ends of lines and formulas in a provider's words",
        "None in errors, predictions, a terminal, the report or a sheet; one line for each job.",
    ),
    Row(
        44,
        "A reply with thousands of outputs",
        "As many are taken as the model can be asked for, and 8 more; the reply is kept.",
    ),
    Row(
        45,
        "Two runs begin in one folder at once, or a run dies between two of the folder's files",
        "No row, order or title is lost; the second run changes no file; nothing is paid twice.",
    ),
    Row(
        46,
        "Ctrl-C at any instant, once or twice",
        "The program ends with a bare KeyboardInterrupt: the first time after what is in flight, at most"
        " `request_timeout`, the second time within 2 s; what is billed is recorded, or logged as cut off.",
    ),
    Row(
        47,
        "An iterator of jobs that blocks for ever",
        "Polls and downloads go on; Ctrl-C, and a gentle stop, end the program all the same.",
    ),
    Row(48, "The same key at the same time", "One submission; each call, and each batch, gets its one outcome."),
    Row(
        49,
        "A journal that was in use, without its log, or with a part of it",
        "It is refused until the loss is accepted; nothing is sent.",
    ),
    Row(50, "Journals and run folders of an earlier version", "They open; what they hold is not paid again."),
    Row(
        51,
        "A lost answer to a submission, on the wire of each provider",
        "1 request; unconfirmed, also for the next run; where the provider knows client ids, found and paid once.",
    ),
    Row(
        52,
        "Addresses in a record that lead elsewhere: to poll, to fetch the result, to cancel, for the key alone",
        "0 connections elsewhere; the provider's own origin is asked, by the id.",
    ),
    Row(
        53,
        "429 that means wait, and 429 that means the account",
        "The one is waited out, and charged once; the other stops the account after 1 request.",
    ),
    Row(
        54,
        "A client id a second time: the provider refuses it, also where something on the way has sent it twice",
        "No two submissions share one; what is refused for its own id is found, and paid once.",
    ),
    Row(
        55,
        "An output that the provider has removed, with its record or without",
        "An error that says so and keeps the id; no file; 0 submissions; what is removed first is fetched first.",
    ),
    Row(
        56,
        "Cancelled by the provider",
        "Cancelled, and not failed; no outputs; 0 further submissions, also in the next run.",
    ),
    Row(
        57,
        "A bucket for the files that is missing, refuses, fails in the middle, is slow or silent",
        "An error before anything is paid, or a finished job that the next run saves for nothing; no partial object.",
    ),
    Row(
        58,
        "Killed in the middle of an upload",
        "Nothing has the object's name; the next run saves it, and pays nothing.",
    ),
    Row(
        59,
        "An upload of local media: refused, too large, cut, hanging, and killed in its middle (SIGKILL)",
        "0 submissions before it is complete; what passes is tried again; the next run uploads, and pays once.",
    ),
    Row(
        60,
        "A webhook that is lost, late, doubled, forged, overtaken, endless, or about nothing",
        "Nothing but time: one result and one charge; a forged one is answered 401, and ends nothing.",
    ),
    Row(61, "Killed in a webhook, at each step", "No id is lost, nothing is paid twice, no secret is on disk."),
    Row(
        62,
        "Killed between an output and its sidecar, or while provenance is embedded",
        "No file is partial; the next run writes the sidecar of the file that lies there, and fetches and pays nothing"
        " for it.",
    ),
)
"""Every row of the matrix, in order."""


def proofs(directory: Path) -> Mapping[int, Sequence[Proof]]:
    """Return the tests of each row, read from the test files of a directory."""
    found: dict[int, list[Proof]] = {}
    for path in sorted(directory.glob("test_*.py")):
        for one in _tests(ast.parse(path.read_text(encoding="utf-8"))):
            number = one.name.removeprefix("test_row_")[:2]
            if one.name.startswith("test_row_"):
                proof = Proof(one.name, ast.get_docstring(one) or "", _pending(one))
                found.setdefault(int(number), []).append(proof)
    return found


def _tests(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _pending(test: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the reason of a mark that says that a test fails, or that it is skipped."""
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) in ("pytest.mark.xfail", "pytest.mark.skip"):
            reasons = [one.value for one in mark.keywords if one.arg == "reason"]
            return str(ast.literal_eval(reasons[0])) if reasons else "it says no reason"
    return ""
