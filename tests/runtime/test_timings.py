"""What a client has learned, saved and loaded."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async import Client, ImageInput
from kling_async.errors import InputError
from kling_async.runtime.timings import load_timings, save_timings
from kling_async.scheduling.learning import AccountLimits
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock
from kling_async.types.prediction import Json

from ..conftest import ORIGIN

limits = st.dictionaries(
    st.text(min_size=1, max_size=20),
    st.builds(AccountLimits, per_second=st.none() | st.floats(1e-3, 1e3), slots=st.none() | st.integers(1, 10_000)),
    max_size=4,
)


@given(limits)
def test_what_is_saved_is_loaded(known: dict[str, AccountLimits]) -> None:
    """Limits survive JSON, and a record without any is that of earlier versions."""
    saved = json.loads(json.dumps(save_timings(DurationModel(), known)))
    assert known == load_timings(saved)[1]
    assert known or {"version", "kinds"} == set(saved)


@pytest.mark.parametrize(
    "limits",
    [
        [],
        {"a": None},
        {"a": {"per_second": 1.0}},
        {"a": {"per_second": 0.0, "slots": 1}},
        {"a": {"per_second": "1", "slots": 1}},
        {"a": {"per_second": True, "slots": 1}},
        {"a": {"per_second": 1.0, "slots": 0}},
        {"a": {"per_second": 1.0, "slots": 1.5}},
        {"a": {"per_second": float("nan"), "slots": 1}},
    ],
)
def test_a_damaged_record_is_refused(limits: Json) -> None:
    """Nothing is guessed about a record that is damaged."""
    with pytest.raises(InputError, match="damaged"):
        load_timings({"version": 1, "kinds": [], "limits": limits})


@pytest.mark.anyio
async def test_a_client_starts_with_the_limits_of_its_account() -> None:
    """A second client with the same key knows the slots that the first one found."""
    sandbox = Sandbox(strict=True, max_open=3, image_latency=Fixed(5))
    async with VirtualClock() as clock:

        def client(timings: Json) -> Client:
            transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
            key = sandbox.key_for("kling")
            return Client("kling", api_key=key, base_url=ORIGIN, transport=transport, timings=timings, clock=clock)

        async with client(None) as first, first.batch([ImageInput(f"cat {at}") for at in range(40)]) as batch:
            assert all([outcome.ok async for outcome in batch])
        saved = json.loads(json.dumps(first.export_timings()))
        refused = sandbox.submits - 40
        assert refused > 0
        [known] = saved["limits"].values()
        assert 3 <= known["slots"] <= 4
        async with client(saved) as second, second.batch([ImageInput(f"dog {at}") for at in range(40)]) as batch:
            assert all([outcome.ok async for outcome in batch])
    assert sandbox.submits - 80 - refused <= 1
    assert 80 == sandbox.billed()
