"""Errors: the tree, facts as fields, and texts made from them."""

from __future__ import annotations

import copy
import inspect
import pickle
from decimal import Decimal
from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest

from kling_async import errors
from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    BudgetExceeded,
    ContentRejected,
    DownloadError,
    InputError,
    InputFault,
    InsufficientBalance,
    JournalError,
    KlingError,
    MissingAPIKey,
    NotSent,
    PermissionDenied,
    PredictionFailed,
    ProviderUnavailable,
    RateLimited,
    Refused,
    Unconfirmed,
    UnexpectedReply,
    Unsupported,
    WaitTimeout,
)
from kling_async.types.prediction import Failure, FailureKind, Prediction, Status

FAILED = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="abc",
    key="cat",
    status=Status.FAILED,
    native_status="failed",
    failure=Failure(kind=FailureKind.FAILED, code="1405", message="out of memory"),
    raw={"data": {"id": "abc"}},
)
RUNNING = Prediction(
    provider="apiinone", model="kling-3", id="n1", key=None, status=Status.RUNNING, native_status="IN_PROGRESS"
)

EXAMPLES: list[KlingError] = [
    KlingError("It broke", provider="gptproto", key="cat"),
    InputError.of("Wrong", [InputFault("n", 10, "must be less")], provider="gptproto", key="cat"),
    MissingAPIKey("No API key", env="GPTPROTO_API_KEY", provider="gptproto", advice="Set GPTPROTO_API_KEY."),
    NotSent("No such host", reason="dns", provider="gptproto"),
    AnswerLost("The connection broke", provider="gptproto", key="cat", excerpt="<html>"),
    Refused("No", provider="gptproto", http_status=418, code="tea", retry_after=7.0),
    AuthenticationError("No", http_status=401),
    InsufficientBalance("No", http_status=402),
    PermissionDenied("No", http_status=403),
    RateLimited("No", http_status=429, retry_after=5.0),
    ContentRejected("No", http_status=400, code="503"),
    BadRequest("No", http_status=400),
    ProviderUnavailable("No", http_status=503),
    UnexpectedReply("What?", path="$.data.id", excerpt="{}", id="abc", http_status=200),
    PredictionFailed(FAILED),
    WaitTimeout(RUNNING, waited_for=600.0),
    Unsupported("GPTProto cannot cancel", provider="gptproto", id="abc"),
    JournalError("Another process holds it"),
    BudgetExceeded("That would be $3"),
    DownloadError("HTTP 404", url="https://x.test/a.png", path="out/cat-0.png", id="abc"),
]
KINDS = [type(error) for error in EXAMPLES]

every_error = pytest.mark.parametrize("error", EXAMPLES, ids=[kind.__name__ for kind in KINDS])

TREE: dict[type[KlingError], type[BaseException]] = {
    KlingError: Exception,
    InputError: KlingError,
    MissingAPIKey: InputError,
    NotSent: KlingError,
    AnswerLost: KlingError,
    Refused: KlingError,
    AuthenticationError: Refused,
    InsufficientBalance: Refused,
    PermissionDenied: Refused,
    RateLimited: Refused,
    ContentRejected: Refused,
    BadRequest: Refused,
    ProviderUnavailable: Refused,
    UnexpectedReply: KlingError,
    PredictionFailed: KlingError,
    WaitTimeout: KlingError,
    Unsupported: KlingError,
    JournalError: KlingError,
    BudgetExceeded: KlingError,
    DownloadError: KlingError,
}


def test_the_tree() -> None:
    """Each error has the one base of the tree, and there are no others; InputError is a ValueError, too."""
    assert TREE == {kind: kind.__bases__[0] for kind in TREE}
    assert [InputError] == [kind for kind in TREE if len(kind.__bases__) != 1]
    assert (KlingError, ValueError) == InputError.__bases__
    defined = {one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)}
    assert set(TREE) == defined
    assert set(TREE) == set(KINDS)


def test_unconfirmed_is_an_alias() -> None:
    """A lost answer can be caught by the name of its status."""
    assert Unconfirmed is AnswerLost


def test_the_tree_is_drawn_as_it_is() -> None:
    """The picture at the top of the module has a line for each error, indented below its base."""
    depth = {kind: sum(issubclass(one, KlingError) for one in kind.__mro__) - 1 for kind in TREE}
    lines = [line for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    drawn = {line.split(maxsplit=1)[0]: len(line) - len(line.lstrip()) for line in lines}
    assert {kind.__name__: 4 + 2 * depth[kind] for kind in TREE} == drawn


BILLED: dict[type[KlingError], bool] = dict.fromkeys(TREE, False) | {
    AnswerLost: True,
    PredictionFailed: True,
    WaitTimeout: True,
    DownloadError: True,
}


@every_error
def test_which_errors_may_be_billed(error: KlingError) -> None:
    """Money may have been spent where the provider has, or may have, started; and nowhere else."""
    assert BILLED[type(error)] is error.may_be_billed
    assert BILLED[type(error)] is ("Money may have been spent." in str(error))


@pytest.mark.parametrize(("cost", "billed"), [(None, True), (Decimal("0.012"), True), (Decimal(0), False)])
def test_a_failure_is_free_only_where_it_is_said(cost: Decimal | None, *, billed: bool) -> None:
    """A failed prediction may be billed, unless its cost is known to be nothing."""
    failed = Prediction(provider="p", model="m", id="i", status=Status.FAILED, native_status="failed", cost=cost)
    assert billed is PredictionFailed(failed).may_be_billed


@every_error
def test_the_text_holds_the_facts_and_the_advice(error: KlingError) -> None:
    """The text alone says what happened, to which job, and what to do."""
    text = str(error)
    assert text.startswith(error.message)
    assert error.advice in text
    facts = [error.provider, error.key, error.id, error.http_status, error.code, error.status]
    assert [] == [fact for fact in facts if fact is not None and str(fact) not in text]


def test_the_whole_text() -> None:
    """The sentence comes first, the facts in brackets, then the money, then the advice."""
    error = AnswerLost(
        "The connection broke", provider="gptproto", key="cat", id="abc", http_status=200, code="7", status="queued"
    )
    assert str(error) == (
        "The connection broke [provider gptproto, job cat, id abc, http 200, code 7, status queued]. "
        "Money may have been spent. It was not sent again, since the provider may have started it. "
        "Check the provider's own history before submitting it again."
    )


@every_error
def test_no_text_names_a_file_of_the_source(error: KlingError) -> None:
    """No text holds a path of the repository, which an installed package lacks; it ends with the advice or a fact."""
    assert "docs/" not in str(error)
    assert ".md" not in str(error)
    assert str(error).endswith((".", "]", "'{}'"))


def test_a_subclass_of_the_users_has_the_text_of_its_base() -> None:
    """A class derived outside the package has the text of the class it is derived from."""

    class OutOfOrder(RateLimited):
        pass

    assert str(RateLimited("No")) == str(OutOfOrder("No"))


def test_a_text_without_facts() -> None:
    """Without facts the text is the message alone."""
    assert "It broke." == str(KlingError("It broke"))
    assert ("It broke",) == KlingError("It broke").args


def test_facts_may_be_added_later() -> None:
    """A layer above that knows the key adds it, and the text contains it."""
    error = RateLimited("No", provider="gptproto")
    error.key, error.may_be_billed, error.advice = "cat", True, "Wait."
    assert "No [provider gptproto, job cat]. Money may have been spent. Wait." == str(error)
    assert RateLimited("No").key is None


@pytest.mark.parametrize("kind", [PurePosixPath, PureWindowsPath])
def test_a_path_is_shown_as_it_was_given(kind: type[PurePath]) -> None:
    """A fault shows a path as its text, without the name of its class."""
    assert str(InputFault("image", kind("cat.png"), "is missing")) == "image='cat.png': is missing"


def test_faults_are_listed() -> None:
    """One fault is part of the sentence, several are a list, and a long value is cut."""
    one = InputError.of("Wrong", [InputFault("n", 10, "must be less")])
    assert "Wrong: n=10: must be less. Nothing was sent." == str(one)
    two = InputError.of("Wrong", [*one.faults, InputFault("prompt", "x" * 100, "is long")])
    shown = "'" + "x" * 76 + "..."
    assert f"Wrong:\n  - n=10: must be less\n  - prompt={shown}: is long\nNothing was sent." == str(two)
    assert "Wrong [job cat]. Nothing was sent." == str(InputError("Wrong", key="cat"))
    asked = InputError.of("Wrong", [InputFault("n", 10, "must be less; did you mean 1?")])
    assert "1? Nothing was sent." in str(asked)
    assert (InputFault("n", 10, "must be less"),) == one.faults
    assert () == InputError("Wrong").faults


def test_an_unexpected_reply_shows_its_beginning() -> None:
    """The text shows 200 characters of the response, in quotes."""
    assert str(UnexpectedReply("What?", excerpt="a\n" * 500)).endswith(f" It began: {('a' + chr(10)) * 100!r}")
    assert "It began" not in str(UnexpectedReply("What?"))
    assert ("$", "") == (UnexpectedReply("What?").path, UnexpectedReply("What?").excerpt)


def test_a_download_error_says_from_where_and_where_to() -> None:
    """The text names the URL and the file, as far as they are known."""
    assert str(EXAMPLES[-1]).endswith("[from https://x.test/a.png] [to out/cat-0.png]")
    assert str(DownloadError("x")).endswith("client.download(prediction, directory).")


def test_facts_of_a_failed_prediction() -> None:
    """The error takes its facts from the prediction, and its reason from the provider."""
    error = PredictionFailed(FAILED)
    assert FAILED is error.prediction
    assert ("gptproto", "cat", "abc", "failed", "1405") == (
        error.provider,
        error.key,
        error.id,
        error.status,
        error.code,
    )
    assert "The prediction ended as failed: out of memory" == error.message


def test_a_failed_prediction_without_a_reason() -> None:
    """Without a reason the message has the provider's own status word."""
    plain = Prediction(provider="p", model="m", id="i", status=Status.EXPIRED, native_status="GONE")
    assert ("The prediction ended as expired: GONE", None) == (
        PredictionFailed(plain).message,
        PredictionFailed(plain).code,
    )


def test_facts_of_a_timeout() -> None:
    """The error keeps the running prediction, so that the caller can wait again."""
    error = WaitTimeout(RUNNING, waited_for=600.4)
    assert (RUNNING, 600.4, "n1", None, "running") == (
        error.prediction,
        error.waited_for,
        error.id,
        error.key,
        error.status,
    )
    assert "Not finished after 600 s" == error.message


def test_defaults_of_facts() -> None:
    """Unknown facts are None or empty, never missing."""
    assert "refused" == NotSent("x").reason
    assert "" == AnswerLost("x").excerpt
    assert Refused("x").retry_after is None
    assert (None, None) == (DownloadError("x").url, DownloadError("x").path)


@every_error
def test_errors_travel_between_processes(error: KlingError) -> None:
    """Pickling and copying keep the class, the text and every field."""
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(error) is type(other)
        assert error is not other
        assert (str(error), error.args, vars(error)) == (str(other), other.args, vars(other))


@every_error
def test_errors_travel_with_facts_added_later(error: KlingError) -> None:
    """Facts added by a layer above, notes included, are pickled as well."""
    changed = copy.copy(error)
    changed.key, changed.message = "later", "Input 3: " + error.message
    changed.add_note("seen by the gateway")
    other = pickle.loads(pickle.dumps(changed))  # noqa: S301
    assert ("later", changed.message, ["seen by the gateway"]) == (other.key, other.message, other.__notes__)
