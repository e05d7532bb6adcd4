"""Text of other people's making, so that it can only ever be read.

HTML is escaped by the templates. What remains dangerous is invisible: characters that reorder
the line they stand in, hide, or end it. They are written out as ``<U+202E>`` instead.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def inert(text: str) -> str:
    """The text with every character that does not show itself written as its code point."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"<U+{ord(one):04X}>" if unicodedata.category(one) in _HIDDEN else one for one in text
    )


def inert_line(text: str) -> str:
    """The same on one trimmed line; a text of nothing but space becomes a dash."""
    return re.sub(r"\s+", " ", inert(text)).strip() or "-"
