"""The errors that this package raises.

The whole tree::

    KlingError
      InputError                 invalid input, setting or path; nothing was sent. Also a ValueError
        MissingAPIKey              no API key was given or found in the environment
      NotSent                    no byte left this machine: connection refused, DNS, TLS, time-out
      AnswerLost                 a submission left and its answer was lost: it is UNCONFIRMED. Alias: Unconfirmed
      Refused                    the provider refused the request
        AuthenticationError        the key is missing, wrong or revoked
        InsufficientBalance        the account's balance is too low
        PermissionDenied           the key lacks a permission
        RateLimited                too many requests; nothing was started
        ContentRejected            the content policy forbids the input
        BadRequest                 a parameter, a model or a path is invalid
        ProviderUnavailable        the provider failed, or a poll got no answer
      UnexpectedReply            a response that cannot be parsed
      PredictionFailed           the prediction ended without success
      WaitTimeout                still running at the provider after the caller's time-out
      Unsupported                the provider cannot do what was asked
      JournalError               the journal cannot be used
      BudgetExceeded             the next submission would exceed the budget
      DownloadError              an output could not be saved

Facts are attributes of the error; the text is made from them. Misuse of an object, such as a client that is not open,
is Python's own `RuntimeError`.
"""

from __future__ import annotations

from .types.errors import *  # noqa: F403
from .types.errors import __all__ as __all__  # noqa: PLC0414 - the explicit form of a re-export
