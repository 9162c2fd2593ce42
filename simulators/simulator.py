"""What all simulators are to those who start them: an application on a loopback port, what it was asked, what fails."""

from types import TracebackType
from typing import Self

from simulators.faults import FaultPlan
from simulators.recording import RecordedRequest, Recorder
from simulators.server import SimulatedServer
from simulators.wire import Application


class Simulator:
    """Serves from ``with`` (or :meth:`start`) until its end (or :meth:`close`); port 0 takes a free one."""

    def __init__(self, application: Application, name: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.name = name
        self._recorder = Recorder(name)
        self._faults = FaultPlan()
        self._server = SimulatedServer(application, self._recorder, self._faults, host, port)

    def start(self) -> Self:
        self._server.listen()
        return self

    def close(self) -> None:
        """Raises if a request broke the simulator itself."""
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{self.host}:{self.port}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request, oldest first; ``sequence`` and ``at`` compare across simulators."""
        return self._recorder.requests

    @property
    def calls(self) -> list[str]:
        """Every request in one line each: ``POST stb_msg/00:1A:79:00:00:01``."""
        return [request.call for request in self.requests]

    def stop_listening(self) -> None:
        """Refuse connections until :meth:`listen`; the port stays reserved."""
        self._server.stop_listening()

    def listen(self) -> None:
        self._server.listen()

    def forget(self) -> None:
        """Nothing was asked, nothing fails, and connections are accepted."""
        self._faults.clear()
        self._recorder.forget()
        self.listen()
