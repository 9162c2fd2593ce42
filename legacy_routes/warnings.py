"""What a success says of the part of it that came otherwise than asked for.

``warning`` is the number 1 in every answer, and ``warning_text`` a sentence. Source: contract README, "warnings".
"""

from decimal import Decimal
from typing import Any

NOT_RECORDED = "It was sent, but the database could not take it into the log"


def warned(*sentences: str | None) -> dict[str, Any]:
    """The further keys of a success; none where there is nothing to say."""
    said = [sentence for sentence in sentences if sentence]
    return {"warning": 1, "warning_text": "; ".join(said)} if said else {}


def unrecorded(is_recorded: bool) -> str | None:
    """The sentence of what was sent where the logs have not all of it."""
    return None if is_recorded else NOT_RECORDED


def floored(done: str, taken: Decimal | None) -> dict[str, Any]:
    """The same of a debit that was larger than the balance, of which ``taken`` was taken; ``done`` is the success."""
    if taken is None:
        return {}
    text = f"The balance was smaller than that: only {taken:.2f} was taken"
    return {"message": f"{done}. {text}", "taken": float(taken), **warned(text)}
