"""The tables of settings in docs/configuration.md, from the settings themselves.

`python -m tests.docs.settings_table` writes them anew; a test says when that is due.
"""

from __future__ import annotations

from hub.config import Described, describe
from tests.docs.pages import REPOSITORY

PAGE = REPOSITORY / "docs" / "configuration.md"
HEADING = "## All settings\n"
FIRST_OF_GROUP = {
    "HUB_HOST": "Where it runs",
    "HUB_MONGO_URL": "The database",
    "HUB_ADMIN_KEY": "Who calls",
    "HUB_QUERY_DEADLINE_S": "Calls",
    "HUB_HTTP_BODY_MAX_BYTES": "Requests over HTTP",
    "HUB_SESSIONS_MAX": "WebSocket sessions",
    "HUB_LIVE_QUERIES_MAX": "Live queries",
    "HUB_FUNCTION_RUN_S": "One run of a function",
}


def tables() -> str:
    """Everything below the heading."""
    lines: list[str] = []
    for setting in describe():
        if setting.variable in FIRST_OF_GROUP:
            lines += [
                "",
                f"### {FIRST_OF_GROUP[setting.variable]}",
                "",
                "| setting | default | bounds | meaning |",
                "|---|---|---|---|",
            ]
        lines.append(_row(setting))
    return "\n".join(lines) + "\n"


def _row(setting: Described) -> str:
    default = f"`{setting.default}`" if setting.default else "–"
    meaning = setting.description.replace("|", "\\|")
    return f"| `{setting.variable}` | {default} | {setting.bounds or '–'} | {meaning} |"


def written() -> str:
    return PAGE.read_text().partition(HEADING)[2]


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(HEADING)[0] + HEADING + tables())
