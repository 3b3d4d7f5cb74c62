"""A model that needs no network: the same answer to the same words, at the pace of somebody who types fast.

For trying things out, and for tests. It answers in the Markdown that a model would use.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from .models import Turn

_WORD: Final = re.compile(r"\s*\S+|\s+\Z")
_QUOTED_CHARS: Final = 80

_HELLO: Final = """\
Hello! 👋 I am the *built-in* model: I need no network, and I know a **list**, some **code** and a **story**. What shall it be?"""
_LIST: Final = """\
Here is a short list:

1. **Write it down.** What is on paper no longer has to be remembered.
2. **Do the smallest part first.** It shows what the rest will be like.
3. **Tell somebody.** Explaining is half of understanding.

Which of the three shall we begin with? 🙂"""
_CODE: Final = """\
Of course. This is all it takes:

```python
async with client.subscribe("messages:list", chatId=chat_id) as states:
    async for messages in states:
        show(messages)
```

Each time a message changes, the loop goes round once more, with the list as it is *now*."""
_STORY: Final = """\
### The lighthouse

Every evening Ada climbed the **ninety-one steps**, lit the lamp, and wrote one line into the book: *the sea is there*.

One evening the lamp stayed dark. She searched the lens, the wick and the oil, and found nothing wrong with them. Then she looked \
out of the window, and saw why: the whole harbour was lit. Every boat had a lantern at its mast, every house one in its window.

- *Who needs a lighthouse tonight?* she asked.
- *You do,* said the harbour. *You have not had an evening off in thirty years.*

So she sat down on the last step, and wrote: **the sea is there, and so are we.** ⛵"""
_THOUGHTS: Final = (
    """\
It depends on what you want to keep simple:

- **for the reader**, say the same thing once;
- **for the writer**, keep the parts small;
- **for whoever comes later**, say *why*.

Tell me more, and I can be more precise.""",
    """\
Good question. The short answer is **yes, with care**.

The long answer has two halves. First, try it with something that may break. Then look at what you would miss if it did, \
and keep exactly that. `Everything else` can go.

Shall I make a plan of it?""",
    """\
I would look at it from the end: what should be true when it is *done*?

> A goal that can be seen is half the way.

Write that sentence first. The steps between here and there are often fewer than they seem — three, most of the time. ✨""",
)


class BuiltInModel:
    """`pace_s` lies between two words."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s

    async def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[str, None]:
        said = next((turn.text for turn in reversed(turns) if turn.role == "user"), "")
        for word in _WORD.findall(answer_to(said)):
            await asyncio.sleep(self._pace_s)
            yield word


def answer_to(said: str) -> str:
    """Something to read for everything that was said; some words have an answer of their own."""
    words = set(re.findall(r"\w+", said.lower()))
    if words & {"list", "steps", "plan", "ideas"}:
        return _LIST
    if words & {"code", "python", "example", "program"}:
        return _CODE
    if words & {"story", "tale", "long", "poem"}:
        return _STORY
    if words & {"hello", "hi", "hey", "moin"}:
        return _HELLO
    quoted = " ".join(said.split())
    shown = quoted if len(quoted) <= _QUOTED_CHARS else f"{quoted[:_QUOTED_CHARS]}…"
    return f"> {shown}\n\n{_THOUGHTS[zlib.crc32(said.encode()) % len(_THOUGHTS)]}"
