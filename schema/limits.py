"""How much one call may ask for."""

from typing import Annotated

from pydantic import Field

Limit = Annotated[int, Field(ge=1, le=10_000)]
"""How many rows a list may hold; longer ones are read page by page."""
