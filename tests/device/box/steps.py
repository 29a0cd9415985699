"""Runs the steps of a scenario inside the box and writes down how each went. Standard library only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

OUT = Path("/out")
PROGRESS = Path("/var/tmp/scenario-progress.json")  # survives a reboot of the box

Step = Callable[[], None]


class SkipStep(Exception):  # noqa: N818 - no error
    """This step can't be run here; the message says why."""


class RebootStep(Exception):  # noqa: N818 - no error
    """The step asks for a reboot; the steps after it see whether all came back."""


def sh(*command: str, check: bool = True, timeout: float = 600) -> str:
    """Run a command; its stdout. An error's message holds all that the command said."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        said = f"{done.stdout[-1500:]}{done.stderr[-1500:]}".strip()
        raise AssertionError(f"{' '.join(command)} gave {done.returncode}: {said}")
    return done.stdout.strip()


def wait_for(what: str, condition: Callable[[], object], seconds: float) -> object:
    """The first true answer of `condition`; fails with `what` when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


def run(steps: list[Step], on_failure: Callable[[], None]) -> int:
    """Run all steps in order; after one that fails the rest are not run. Returns the exit code.

    A step's name is the first line of its docstring.
    """
    done: dict[str, list[object]] = json.loads(PROGRESS.read_text()) if PROGRESS.exists() else {}
    failed = False
    for step in steps:
        name = (step.__doc__ or step.__name__).strip().splitlines()[0]
        if name in done:
            continue
        begin = time.monotonic()
        reboot = False
        try:
            if failed:
                raise SkipStep("a step before it failed")
            step()
            result, text = "ok", ""
        except SkipStep as error:
            result, text = "skipped", str(error)
        except RebootStep:
            result, text, reboot = "ok", "", True
        except Exception as error:
            result, text, failed = "FAILED", str(error) or type(error).__name__, True
            if not isinstance(error, AssertionError):
                text += "\n" + traceback.format_exc()
        done[name] = [result, round(time.monotonic() - begin, 1), text]
        PROGRESS.write_text(json.dumps(done))
        print(f"{result:8} {done[name][1]:7} s  {name}" + (f": {text}" if text else ""), flush=True)
        if result == "FAILED":
            on_failure()
        if reboot:
            os.sync()
            sh("systemctl", "reboot", check=False)
            time.sleep(120)  # the reboot ends this process
            return 1
    with (OUT / "steps.jsonl").open("w") as file:
        for name, (result, seconds, text) in done.items():
            file.write(json.dumps({"step": name, "result": result, "seconds": seconds, "text": text}) + "\n")
    sys.stdout.flush()
    return 1 if failed else 0
