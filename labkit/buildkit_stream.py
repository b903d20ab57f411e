"""The bytes of `--progress=rawjson` -> events, one at a time.

buildx 0.12 to 0.14 write each object over many lines, later ones on one line
(https://github.com/docker/buildx/pull/2494); a line that is no part of an object is plain
words, as the `ERROR: ...` at the end.
"""

import json


def read(stream, add) -> str:
    """Hand every event of the stream to `add(event, log_bytes)`; return the plain words."""
    words, pieces = [], []
    for line in stream:
        if not pieces and not line.startswith(b"{"):
            words.append(line.decode(errors="replace"))
            continue
        pieces.append(line)
        if line.rstrip().endswith(b"}") and (line.startswith(b"}") or len(pieces) == 1):
            _hand_out(b"".join(pieces), words, add)
            pieces = []
    words.append(b"".join(pieces).decode(errors="replace"))
    return "".join(words)


def _hand_out(text, words, add):
    try:
        event = json.loads(text)
    except ValueError:
        words.append(text.decode(errors="replace"))
        return
    logs = event.pop("logs", None) or ()
    if event:
        add(event)
    for log in logs:
        add({"logs": [log]}, len(log.get("data") or "") * 3 // 4)
