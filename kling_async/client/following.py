"""Calls about predictions that were submitted: polled, awaited and cancelled."""

from __future__ import annotations

from ..runtime.completion import prediction_of
from ..runtime.settings import positive_float
from ..runtime.tracebacks import short_tracebacks
from ..system.interrupts import defer_interrupts
from ..types.prediction import Prediction
from .base import WAIT_TIMEOUT
from .unconfirmed import UnconfirmedClient

__all__ = ["FollowingClient"]


class FollowingClient(UnconfirmedClient):
    """The part of a client that deals with predictions that were submitted."""

    @defer_interrupts
    @short_tracebacks
    async def refresh(self, prediction: Prediction) -> Prediction:
        """Poll a prediction once and return it as the provider describes it now; it is queued among the polls.

        Raises:
            KlingError: no answer could be read within `request_timeout`; the prediction itself goes on.
        """
        return await self._dispatcher.refresh(prediction, wait_for=self._settings.request_timeout)

    @defer_interrupts
    @short_tracebacks
    async def wait(self, prediction: Prediction, *, wait_timeout: float = WAIT_TIMEOUT) -> Prediction:
        """Wait until a prediction is finished, whatever its status, and return it.

        Transient polling errors are retried. Calls that wait for one prediction share its polls.

        Args:
            prediction: what `submit` returned, in this process or another.
            wait_timeout: maximum number of seconds to wait.

        Raises:
            WaitTimeout: it is still running; the error carries it, and the work goes on.
            Refused: the provider refuses to describe it, for a reason that is not transient.
        """
        wait_for = positive_float("wait_timeout", wait_timeout)
        if prediction.status.is_terminal:
            return prediction
        return prediction_of(await self._dispatcher.wait(prediction, wait_for=wait_for))

    @defer_interrupts
    @short_tracebacks
    async def cancel(self, prediction: Prediction) -> Prediction:
        """Ask the provider to cancel a prediction, and return it as the provider describes it then.

        It may still be running: a provider may need a moment, or it may be too late. Whether a cancelled prediction is
        billed is for the provider to say. Calls that wait for it learn of its end by their own polls.

        Raises:
            Unsupported: the provider cannot cancel; `kling-async providers` lists those that can.
            KlingError: no answer could be read within `request_timeout`; the prediction may go on.
        """
        if prediction.status.is_terminal:
            return prediction
        return await self._dispatcher.cancel(prediction, wait_for=self._settings.request_timeout)
