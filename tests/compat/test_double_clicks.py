"""Identical writes of a browser within a moment: one effect, equal answers."""

import io
import threading
import time
from collections.abc import Callable

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from compat.double_clicks import ProcessMemory, key_of, once, session_key


def _failed(error: Exception) -> Response:
    return Response(str(error), 500)


def _counting(calls: list[int], seconds: float = 0.0) -> Callable[[], Response]:
    def act() -> Response:
        calls.append(1)
        time.sleep(seconds)
        return Response(str(len(calls)), 202, headers={"X-Kept": "yes", "Set-Cookie": "a=b"})

    return act


def test_the_second_waits_for_the_firsts_answer() -> None:
    memory, calls, answers = ProcessMemory(), list[int](), list[Response]()
    act = _counting(calls, 0.1)
    threads = [threading.Thread(target=lambda: answers.append(once(memory, "s", "k", act, _failed))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert {(answer.get_data(), answer.status_code, answer.headers["X-Kept"]) for answer in answers} == {
        (b"1", 202, "yes")
    }
    # a cookie belongs to one answer
    assert sum("Set-Cookie" in answer.headers for answer in answers) == 1


def test_a_different_write_ends_the_memory_of_its_session_only() -> None:
    memory, calls = ProcessMemory(), list[int]()

    def click(session: str, key: str) -> str:
        return once(memory, session, key, _counting(calls), _failed).get_data(as_text=True)

    assert [click("s", "on"), click("t", "on"), click("s", "on")] == ["1", "2", "1"]
    # on, off, on: three writes
    assert [click("s", "off"), click("s", "on"), click("s", "off")] == ["3", "4", "5"]
    assert click("t", "on") == "2"


def test_what_was_under_way_when_another_began_is_not_remembered() -> None:
    memory = ProcessMemory()
    with pytest.raises(memory.nothing):
        memory.begin("s", "on")
    with pytest.raises(memory.nothing):
        memory.begin("s", "off")
    assert memory.begin("s", "on") is None
    memory.end("s", "on", b"done", keep=True)
    # for who waited already
    assert memory.look("s", "on") == b"done"
    with pytest.raises(memory.nothing):
        memory.begin("s", "on")


def test_a_later_time_acts_again() -> None:
    memory, calls = ProcessMemory(seconds=0.05), list[int]()
    once(memory, "s", "k", _counting(calls), _failed)
    time.sleep(0.06)
    assert once(memory, "s", "k", _counting(calls), _failed).get_data() == b"2"
    assert len(memory._sessions) == len(memory._sessions["s"]) == 1


def test_a_refusal_may_be_tried_again() -> None:
    memory, calls = ProcessMemory(), list[int]()

    def refuse() -> Response:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        once(memory, "s", "k", refuse, _failed)
    assert once(memory, "s", "k", _counting(calls), _failed).get_data() == b"1"


def _file(content: bytes) -> dict[str, FileStorage]:
    return {"receipt": FileStorage(io.BytesIO(content), "receipt.png")}


def test_keys() -> None:
    same = {key_of("add", "POST", {"a": 1, "b": "x"}, {}), key_of("add", "POST", {"b": "x", "a": 1}, {})}
    assert len(same) == 1
    others = {
        key_of("add", "POST", {"a": 2}, {}),
        key_of("edit", "POST", {"a": 2}, {}),
        key_of("add", "GET", {"a": 2}, {}),
        key_of("add", "POST", {"a": 2}, _file(b"one")),
        key_of("add", "POST", {"a": 2}, _file(b"two")),
    }
    assert len(others | same) == 6
    assert session_key("s", "ann") != session_key("s", "bob")


def test_a_file_can_be_read_after_its_key() -> None:
    files = _file(b"content")
    key_of("add", "POST", {}, files)
    assert files["receipt"].stream.read() == b"content"
