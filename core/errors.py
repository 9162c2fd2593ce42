"""The named failures of the business, each with the API document's code and a text for the person at the panel.

What an error becomes on the wire (envelope, status line) is not decided here, except for the few
cases in which contract chapter 00 demands a status other than 200.
"""

from typing import ClassVar, Self


class PanelError(Exception):
    """A refusal or failure that the caller may read.

    ``text`` never holds SQL, a path, a host name or a secret. ``code`` is the document's table: 1 general,
    2 authentication, 3 permission, 4 not found, 5 already exists, 6 invalid input, 7 database, 8 portal or provider.
    ``retry_after``: seconds after which another try makes sense.
    """

    code: ClassVar[int] = 1
    status: ClassVar[int] = 200
    default_text: ClassVar[str] = "The request could not be completed"
    # it was not refused but goes on, and ends by itself: told with ``error`` 0 and ``pending``
    goes_on: ClassVar[bool] = False

    def __init__(self, text: str | None = None, *, retry_after: int | None = None) -> None:
        self.text = text if text is not None else self.default_text
        self.retry_after = retry_after
        super().__init__(self.text)


class WrongCredentials(PanelError):
    code = 2
    default_text = "Invalid username or password"


class NotLoggedIn(PanelError):
    code = 2
    default_text = "Not logged in"


class NotAllowed(PanelError):
    code = 3
    default_text = "Permission denied"


class NotFound(PanelError):
    code = 4
    default_text = "Not found"


class AlreadyExists(PanelError):
    code = 5
    default_text = "Already exists"


class InvalidInput(PanelError):
    """``field``: the value that is wrong, as the forms call it. In ``text`` it stands as ``{field}``, where whoever
    knows the request puts the name under which the value was sent (:meth:`call_it`)."""

    code = 6
    default_text = "Invalid input"

    def __init__(self, text: str | None = None, *, field: str | None = None) -> None:
        self.field = field
        self._wording = text
        super().__init__(text)
        if field is not None:
            self.call_it(field)

    def call_it(self, name: str) -> None:
        if self._wording is not None:
            self.text = self._wording.replace("{field}", name)
            self.args = (self.text,)

    @classmethod
    def missing(cls, field: str, expected: str = "") -> Self:
        """A field that was not sent, or sent empty; ``expected`` says what it may hold."""
        return cls("Missing field: {field}" + (f" ({expected})" if expected else ""), field=field)

    @classmethod
    def of(cls, field: str, expected: str) -> Self:
        """A value that cannot be used; ``expected`` says what can: "expected …", "at most …"."""
        return cls(f"Invalid value for {{field}}: {expected}", field=field)


class DatabaseFailed(PanelError):
    """The database refused or lacks something; the panel itself is up."""

    code = 7
    default_text = "Database error, please try again later"


class DatabaseUnavailable(DatabaseFailed):
    """The database cannot be reached or is not one that we may touch (chapter 00: status 503)."""

    status = 503
    default_text = "The database is not available, please try again later"


class CommitUncertain(DatabaseUnavailable):
    """The connection was lost while a transaction was being committed: it may be done or not."""

    default_text = (
        "The database was lost while this was being stored: it may be done or not. Please look before you try again"
    )


class DatabaseBusy(DatabaseFailed):
    """The transaction was the victim of a deadlock, or waited too long for a lock: nothing was done, try again."""

    default_text = "The database is busy, please try again"


class DatabaseRefused(DatabaseFailed):
    """What was to be stored does not fit, and never will: nothing was done, and trying again is no use."""

    default_text = "The database cannot store this; nothing was changed"


class UpstreamFailed(PanelError):
    code = 8
    default_text = "The portal could not be reached"


class TooManyAttempts(PanelError):
    status = 429
    default_text = "Too many attempts, please wait a minute and try again"


class NotEnoughCredit(PanelError):
    """The payer's balance does not cover the full price."""

    default_text = "Not enough credit"
