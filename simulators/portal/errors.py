"""The two ways in which the portal says ERROR: a refusal in its own words, and a database failure."""


class PortalRefusal(Exception):
    """``str()`` is the ``error`` text of the answer."""


class SqlFailure(PortalRefusal):
    """The database refused a statement; the portal gives its text away."""

    def __init__(self, driver_text: str, query: str) -> None:
        super().__init__(f"Query failed by reason : {driver_text}; query :{query}")
