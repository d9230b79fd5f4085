"""Keys go to their origin and nowhere else."""

from __future__ import annotations

import copy
import pickle

import pytest

from kling_async.errors import InputError, MissingAPIKey
from kling_async.providers import PROVIDERS
from kling_async.runtime.settings import ApiKeys, read_key, read_origin
from kling_async.transport.credentials import Credential, is_loopback

GPTPROTO, KLING = PROVIDERS["gptproto"], PROVIDERS["kling"]
KEY = "sk-canary-7f3a9b"


def credential(scheme: str = "bearer") -> Credential:
    return Credential(key=KEY, origin="https://gptproto.com", authorizer=GPTPROTO.authorizer(KEY, scheme=scheme))


@pytest.mark.parametrize(("scheme", "value"), [("bearer", f"Bearer {KEY}"), ("bare", KEY)])
def test_the_key_is_written_as_asked(scheme: str, value: str) -> None:
    """Bearer is written before the key, or nothing is."""
    assert ("Authorization", value) == credential(scheme).headers_for("https://gptproto.com", now=0.0)[0]


def test_the_header_is_asked_for_each_time() -> None:
    """A token that expires is renewed: the authorizer learns the time of each request."""

    class Renewed:
        def header(self, now: float) -> tuple[str, str]:
            return ("Authorization", f"Bearer token-{now:g}")

    held = Credential(key=KEY, origin="https://gptproto.com", authorizer=Renewed())
    headers = [held.headers_for("https://gptproto.com", now=now)[0] for now in (1.0, 1800.0)]
    assert [("Authorization", "Bearer token-1"), ("Authorization", "Bearer token-1800")] == headers


@pytest.mark.parametrize(
    "origin",
    ["http://gptproto.com", "https://gptproto.com:444", "https://evil.example", "https://gptproto.com.evil.example"],
)
def test_the_key_is_for_its_origin_only(origin: str) -> None:
    """Another scheme, port or host is another origin."""
    with pytest.raises(RuntimeError):
        credential().headers_for(origin, now=0.0)


def test_a_key_shows_nowhere() -> None:
    """No repr, text or pickle holds it."""
    authorizer = GPTPROTO.authorizer(KEY)
    assert KEY not in f"{credential()!r} {credential()!s} {authorizer!r} {authorizer!s} {ApiKeys({'gptproto': KEY})!r}"
    for held in (credential(), authorizer, ApiKeys({"gptproto": KEY})):
        for spill in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=f"A {type(held).__name__} cannot be pickled or copied") as refused:
                spill(held)
            assert KEY not in str(refused.value)


def test_keys_come_from_the_mapping_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument wins over the environment, and blanks around a key, as files leave them, are stripped."""
    monkeypatch.setenv("GPTPROTO_API_KEY", "sk-from-environment\n")
    assert "sk-from-environment" == read_key(GPTPROTO, ApiKeys())
    assert "sk-handed" == read_key(GPTPROTO, ApiKeys({"gptproto": " sk-handed "}))


def test_a_pair_is_read_from_two_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joined by a colon they are the key, unless there is an argument or a key of one piece; one of them is none."""
    monkeypatch.setenv("KLING_ACCESS_KEY", "ak-one\n")
    with pytest.raises(MissingAPIKey, match="KLING_API_KEY, or KLING_ACCESS_KEY and KLING_SECRET_KEY, or pass"):
        read_key(KLING, ApiKeys())
    monkeypatch.setenv("KLING_SECRET_KEY", " sk-two")
    assert "ak-one:sk-two" == read_key(KLING, ApiKeys())
    assert "KLING_ACCESS_KEY and KLING_SECRET_KEY" == ApiKeys().source_of(KLING)
    monkeypatch.setenv("KLING_API_KEY", "sk-key")
    assert "sk-key" == read_key(KLING, ApiKeys())
    assert "KLING_API_KEY" == ApiKeys().source_of(KLING)
    assert "sk-handed" == read_key(KLING, ApiKeys({"kling": "sk-handed"}))
    assert "api_key" == ApiKeys({"kling": "sk-handed"}).source_of(KLING)


@pytest.mark.parametrize("pair", ["sk-secret:", ":sk-secret", "a:sk-secret", "ak-one:sk secret"])
def test_what_cannot_be_a_pair_is_refused_unseen(pair: str) -> None:
    """Each part of a pair must be a key; the error repeats neither."""
    with pytest.raises(InputError, match="or two of them joined by a colon") as caught:
        read_key(KLING, ApiKeys({"kling": pair}))
    assert "secret" not in f"{caught.value} {caught.value.faults!r}"


def test_whatever_a_pair_is_known_by_is_redacted() -> None:
    """The pair, both of its parts and the tokens made from it are removed; those of long ago are forgotten."""
    pair = "ak-canary-111:sk-canary-222"
    held = Credential(key=pair, origin=KLING.origin, authorizer=KLING.authorizer(pair))
    tokens = [held.headers_for(KLING.origin, now=1000.0 * hour)[0][1].removeprefix("Bearer ") for hour in range(3)]
    assert 3 == len(set(tokens))
    for text in (pair, "sk-canary-222", "ak-canary-111", *tokens):
        assert "a [key] b" == held.redact(f"a {text} b")
        assert b"a [key] b" == held.redact_bytes(f"a {text} b".encode())
        assert text not in repr(held)


def test_a_missing_key_names_its_variable() -> None:
    """A missing key is an error of its own class, which names the variable and the parameter."""
    with pytest.raises(MissingAPIKey, match="GPTPROTO_API_KEY, or pass api_key=") as caught:
        read_key(GPTPROTO, ApiKeys())
    assert ("GPTPROTO_API_KEY", "gptproto") == (caught.value.env, caught.value.provider)


@pytest.mark.parametrize("key", ["sk-a b-secret", "sk-a\nb-secret", "sk-\u00e9-secret", "abc"])
def test_what_cannot_be_a_key_is_refused_unseen(key: str) -> None:
    """A key with blanks, line ends or other letters never reaches a header, nor the error."""
    with pytest.raises(InputError) as caught:
        read_key(GPTPROTO, ApiKeys({"gptproto": key}))
    assert key not in str(caught.value)
    assert "secret" not in repr(caught.value.faults)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://gptproto.com", "https://gptproto.com"),
        ("https://gptproto.com/", "https://gptproto.com"),
        (" https://GPTProto.com:8443 ", "https://gptproto.com:8443"),
        ("https://gptproto.com:443", "https://gptproto.com"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:443", "http://127.0.0.1:443"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_origins_are_read(url: str, origin: str) -> None:
    """An origin is a scheme, a host and perhaps a port, which is left out where it is the default."""
    assert origin == read_origin(GPTPROTO, {"gptproto": url}, allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "gptproto.com",
        "https://gptproto.com/api/v3",
        "https://gptproto.com?x=1",
        "https://gptproto.com#x",
        "https://user:secret@gptproto.com",
        "https://gptproto.com:99999",
        "https://",
        "ftp://gptproto.com",
        "https://gpt proto.com",
        "https://gptpr\u00f6to.com",
        "https://[::1",
    ],
)
def test_what_is_no_origin_is_refused(url: str) -> None:
    """Paths, users, odd schemes and hosts are refused, without repeating a password."""
    with pytest.raises(InputError, match="Malformed base URL") as caught:
        read_origin(GPTPROTO, {"gptproto": url}, allow_http=False)
    assert "secret" not in str(caught.value)


def test_http_to_another_machine_must_be_insisted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over plain http the key could be read on the way."""
    monkeypatch.setenv("GPTPROTO_BASE_URL", "http://gptproto.com")
    with pytest.raises(InputError, match="Insecure base URL"):
        read_origin(GPTPROTO, {}, allow_http=False)
    assert "http://gptproto.com" == read_origin(GPTPROTO, {}, allow_http=True)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("a.example", False),
    ],
)
def test_loopback_is_this_machine(host: str, here: bool) -> None:
    """Only names of this very machine are loopback."""
    assert here == is_loopback(host)


def test_public_pages_are_asked_for_without_a_key() -> None:
    """Without a key there is no header, nothing is redacted, and another origin is still refused."""
    public = Credential(key="", origin="https://fal.ai", authorizer=None)
    assert () == public.headers_for("https://fal.ai", now=0.0)
    assert "a text" == public.redact("a text")
    assert b"a text" == public.redact_bytes(b"a text")
    with pytest.raises(RuntimeError):
        public.headers_for("https://queue.fal.run", now=0.0)
