"""What can go wrong: a tree, facts as fields, and texts that say them."""

from __future__ import annotations

import copy
import inspect
import pickle
from decimal import Decimal

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
    NotSent,
    PermissionDenied,
    PredictionFailed,
    ProviderUnavailable,
    RateLimited,
    Refused,
    UnexpectedReply,
    WaitTimeout,
)
from kling_async.prediction import Fault, FaultKind, Prediction, Status

FAILED = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="abc",
    key="cat",
    status=Status.FAILED,
    native_status="failed",
    fault=Fault(kind=FaultKind.FAILED, code="1405", message="out of memory"),
    raw={"data": {"id": "abc"}},
)
RUNNING = Prediction(
    provider="apiinone", model="kling-3", id="n1", key=None, status=Status.RUNNING, native_status="IN_PROGRESS"
)

EXAMPLES: list[KlingError] = [
    KlingError("It broke", provider="gptproto", key="cat"),
    InputError.of("Wrong", [InputFault("n", 10, "must be less")], provider="gptproto", key="cat"),
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
    JournalError("Another process holds it"),
    BudgetExceeded("That would be $3"),
    DownloadError("HTTP 404", url="https://x.test/a.png", path="out/cat-0.png", id="abc"),
]
KINDS = [type(error) for error in EXAMPLES]

every_error = pytest.mark.parametrize("error", EXAMPLES, ids=[kind.__name__ for kind in KINDS])

TREE: dict[type[KlingError], type[BaseException]] = {
    KlingError: Exception,
    InputError: KlingError,
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
    JournalError: KlingError,
    BudgetExceeded: KlingError,
    DownloadError: KlingError,
}


def test_the_tree() -> None:
    """Each error has the one base that the page draws, and there are no others."""
    assert TREE == {kind: kind.__bases__[0] for kind in TREE}
    assert [] == [kind for kind in TREE if len(kind.__bases__) != 1]
    defined = {one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)}
    assert set(TREE) == defined
    assert set(TREE) == set(KINDS)


def test_the_tree_is_drawn_as_it_is() -> None:
    """The picture at the top of the module has a line for each error, indented below its base."""
    depth = {kind: len(kind.__mro__) - len(KlingError.__mro__) for kind in TREE}
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
def test_what_may_be_billed(error: KlingError) -> None:
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
    """Whoever reads only the text learns what happened, to what, and what to do."""
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
        "Look for it in the provider's own history before submitting it anew. "
        "See docs/reference/errors.md#answerlost"
    )


@every_error
def test_the_text_ends_with_where_it_is_explained(error: KlingError) -> None:
    """The last word of each text is the address of the class's own anchor."""
    assert f"See {errors._PAGE}#{type(error).__name__.lower()}" == str(error)[str(error).rindex("See ") :]


def test_a_class_of_the_users_is_explained_by_its_base() -> None:
    """What is derived outside the package leads to the nearest class that the page knows."""

    class OutOfOrder(RateLimited):
        pass

    assert str(OutOfOrder("No")).endswith("#ratelimited")


def test_a_text_without_facts() -> None:
    """Where nothing more is known, nothing more is said."""
    assert "It broke. See docs/reference/errors.md#klingerror" == str(KlingError("It broke"))
    assert ("It broke",) == KlingError("It broke").args


def test_facts_may_be_learnt_later() -> None:
    """A room above that knows the key adds it, and the text says it."""
    error = RateLimited("No", provider="gptproto")
    error.key, error.may_be_billed, error.advice = "cat", True, "Wait."
    assert "No [provider gptproto, job cat]. Money may have been spent. Wait. See" == str(error).rpartition(" ")[0]
    assert RateLimited("No").key is None


def test_faults_are_listed() -> None:
    """One fault stands in the sentence, several stand below each other, and a long value is cut."""
    one = InputError.of("Wrong", [InputFault("n", 10, "must be less")])
    see = "See docs/reference/errors.md#inputerror"
    assert f"Wrong: n=10: must be less. Nothing was sent. {see}" == str(one)
    two = InputError.of("Wrong", [InputFault("n", 10, "must be less"), InputFault("prompt", "x" * 100, "is long")])
    shown = "'" + "x" * 76 + "..."
    assert f"Wrong:\n  - n=10: must be less\n  - prompt={shown}: is long\nNothing was sent. {see}" == str(two)
    assert f"Wrong [job cat]. Nothing was sent. {see}" == str(InputError("Wrong", key="cat"))
    asked = InputError.of("Wrong", [InputFault("n", 10, "must be less; did you mean 1?")])
    assert "1? Nothing was sent." in str(asked)
    assert (InputFault("n", 10, "must be less"),) == one.faults
    assert () == InputError("Wrong").faults


def test_an_unexpected_reply_shows_its_beginning() -> None:
    """The text shows 200 characters of the reply, in quotes."""
    assert f" It began: {('a' + chr(10)) * 100!r} See " in str(UnexpectedReply("What?", excerpt="a\n" * 500))
    assert "It began" not in str(UnexpectedReply("What?"))
    assert ("$", "") == (UnexpectedReply("What?").path, UnexpectedReply("What?").excerpt)


def test_a_download_error_says_from_where_and_where_to() -> None:
    """The text names the address and the file, as far as they are known."""
    assert "[from https://x.test/a.png] [to out/cat-0.png] See " in str(EXAMPLES[-1])
    assert "client.download(prediction, directory). See " in str(DownloadError("x"))


def test_what_a_failed_prediction_says() -> None:
    """The error takes its facts from the prediction, and its words from the provider."""
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
    """Without a reason the provider's own word has to do."""
    plain = Prediction(provider="p", model="m", id="i", status=Status.EXPIRED, native_status="GONE")
    assert ("The prediction ended as expired: GONE", None) == (
        PredictionFailed(plain).message,
        PredictionFailed(plain).code,
    )


def test_what_a_timeout_says() -> None:
    """The error keeps what is running, for whoever wants to go on waiting."""
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
    """What is not known is None or empty, never missing."""
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
def test_errors_travel_with_what_was_learnt_later(error: KlingError) -> None:
    """What a room above has added, notes included, is kept as well."""
    told = copy.copy(error)
    told.key, told.message = "later", "Input 3: " + error.message
    told.add_note("seen by the gateway")
    other = pickle.loads(pickle.dumps(told))  # noqa: S301
    assert ("later", told.message, ["seen by the gateway"]) == (other.key, other.message, other.__notes__)
