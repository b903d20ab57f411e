"""python -m labkit doctor | setup | stop: look, get ready, stop the private engine."""

import argparse
import json
import sys

from labkit import base, doctor, private
from labkit.engine import find
from labkit.errors import LabkitError
from labkit.words import _


def main(argv=None) -> int:
    """Run one command; 0 where all is well, 1 where a lesson could not run."""
    parser = argparse.ArgumentParser(prog="python -m labkit", description=__doc__)
    parser.add_argument("command", choices=("doctor", "setup", "stop"))
    command = parser.parse_args(argv).command
    try:
        return {"doctor": doctor.report, "setup": _setup, "stop": _stop}[command]()
    except LabkitError as error:
        print(error, file=sys.stderr)
        return 1


def _setup():
    """Find or start the engine and have the base image ready; prints where the engine is."""
    engine = find()
    name = base.choose(engine, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps({"docker_host": engine.host, "base": name}))
    return 0


def _stop():
    stopped = private.stop()
    print(_("labkit's private engine is stopped.") if stopped else _("No private engine runs."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
