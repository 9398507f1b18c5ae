"""JSON logs: one line a message on stderr, with the time and never a text."""

import json
import logging
import sys
import time
from typing import Any


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; a message that is JSON already gives its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        message = record.getMessage()
        fields: dict[str, Any] = {"event": "log", "message": message}
        if message.startswith("{"):
            fields = json.loads(message)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"time": f"{when}.{int(record.msecs):03d}Z", "level": record.levelname.lower(), **fields}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


def log_json() -> None:
    """Send the logs of the server, and the warnings of uvicorn, to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("elsewise.server", logging.INFO), ("uvicorn", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def say(event: str, **fields: Any) -> None:
    """Log an event of the server's life."""
    logging.getLogger("elsewise.server").info("%s", json.dumps({"event": event, **fields}))
