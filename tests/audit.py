"""``python -m tests.audit requirements.lock``: what is known of faults in the locked versions.

Exits with 0 when nothing is known, 1 when something is, and 2, saying so, where the data cannot be reached: no news
is then no good news.
"""

import subprocess
import sys

UNREACHABLE = "NOT AUDITED: no advisory data could be reached from here; run this where there is a way to it."
_NOT_AUDITED = "could not be audited"
_SIGNS = ("ConnectionError", "ServiceError", "Could not connect", "Max retries", "NameResolution", "HTTPError", "Proxy")


def verdict(code: int, output: str) -> tuple[int, str]:
    """Exit code and text of a run of pip-audit."""
    if code and "Found " not in output and any(sign in output for sign in _SIGNS):
        return 2, UNREACHABLE
    unknown = output.count(_NOT_AUDITED)
    if not code and unknown:
        return 2, f"{output.strip()}\n{UNREACHABLE}\n{unknown} packages are unknown to the service that was asked."
    return (1 if code else 0), output.strip()


def main(lock: str) -> int:
    # without pip: the lock names every package with its version
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", lock, "--timeout", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    code, text = verdict(done.returncode, done.stdout + done.stderr)
    sys.stdout.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
