"""Ways to spoil a credential report's table, which travels inside an answer."""

import base64

from hypothesis import strategies as st

_NUMBERS = st.integers(0, 2**32)
_WORDS = st.sampled_from(
    ("true", "false", "TRUE", "True ", "yes", "", "N/A", "no_information", "not_supported", "1",
     "\x00", "=1+1", '"', "a,b", "x\ny", "\ud800", "<root_account>", "alice", "\x1b[31m", "x" * 5000,
     "\u202e", "\uff54rue", "arn:aws:iam::999999999999:root", "arn:aws:iam::111122223333:root")
)  # fmt: skip
_WAYS = st.sampled_from(
    ("cell", "cell", "cell", "row_cut", "row_long", "row_twice", "row_gone", "column_gone", "column_twice",
     "column_renamed", "columns_moved", "lines", "encoding", "quotes", "blank", "base64", "empty")
)  # fmt: skip
_LINES = st.sampled_from(("\r\n", "\r", "\n\n", "\x0b", "\u2028", " \n"))
_ENCODINGS = st.sampled_from(("utf-8-sig", "utf-16", "latin-1"))


def spoilt_report(document, draw):
    """The document of GetCredentialReport with another table in it."""
    table = [line.split(",") for line in base64.b64decode(document["Content"]).decode().split("\n")]
    content = _WAYS_OF_TABLE[draw(_WAYS)](table, draw)
    encoded = content if isinstance(content, str) else base64.b64encode(content).decode()
    return {**document, "Content": encoded}


def _text(table, end="\n"):
    return end.join(map(",".join, table)).encode("utf-8", "surrogatepass")


def _some_row(table, draw):
    return draw(_NUMBERS) % len(table)


def _cell(table, draw):
    row = table[_some_row(table, draw)]
    # The columns that decide are few: half of the changes go there.
    decisive = [table[0].index(name) for name in ("user", "arn", "password_enabled", "mfa_active")]
    column = draw(_NUMBERS) % len(row)
    row[column if draw(_NUMBERS) % 2 else decisive[column % 4] % len(row)] = draw(_WORDS)
    return _text(table)


def _row_cut(table, draw):
    row = table[_some_row(table, draw)]
    del row[draw(_NUMBERS) % len(row) :]
    return _text(table)


def _row_long(table, draw):
    table[_some_row(table, draw)].append("true")
    return _text(table)


def _row_twice(table, draw):
    table.append(list(table[_some_row(table, draw)]))
    return _text(table)


def _row_gone(table, draw):
    del table[_some_row(table, draw)]
    return _text(table)


def _column_gone(table, draw):
    column = draw(_NUMBERS) % len(table[0])
    for row in table:
        del row[column]
    return _text(table)


def _column_twice(table, draw):
    column = draw(_NUMBERS) % len(table[0])
    for row in table:
        row.append(row[column])
    return _text(table)


def _column_renamed(table, draw):
    column = draw(_NUMBERS) % len(table[0])
    table[0][column] = (table[0][column].upper(), table[0][column] + " ", "")[draw(_NUMBERS) % 3]
    return _text(table)


def _columns_moved(table, draw):
    turn = draw(_NUMBERS) % len(table[0])
    return _text([row[turn:] + row[:turn] for row in table])


def _lines(table, draw):
    return _text(table, draw(_LINES))


def _encoding(table, draw):
    table[-1][0] = "j\xf6rg"
    return "\n".join(map(",".join, table)).encode(draw(_ENCODINGS))


def _quotes(table, draw):
    row = table[_some_row(table, draw)]
    column = draw(_NUMBERS) % len(row)
    row[column] = ('"' + row[column], f'"{row[column]}"', f'"{row[column]}\n"')[draw(_NUMBERS) % 3]
    return _text(table)


def _blank(table, draw):
    table.insert(draw(_NUMBERS) % (len(table) + 1), [("", " ", "#")[draw(_NUMBERS) % 3]])
    return _text(table)


def _base64(table, draw):
    encoded = base64.b64encode(_text(table)).decode()
    place = draw(_NUMBERS) % len(encoded)
    return (encoded[:place], encoded[:place] + "\n" + encoded[place:], encoded + "=", "%%%")[
        draw(_NUMBERS) % 4
    ]


def _empty(table, draw):
    return (b"", b"\n", _text(table[:1]), b",")[draw(_NUMBERS) % 4]


_WAYS_OF_TABLE = {
    "cell": _cell, "row_cut": _row_cut, "row_long": _row_long, "row_twice": _row_twice,
    "row_gone": _row_gone, "column_gone": _column_gone, "column_twice": _column_twice,
    "column_renamed": _column_renamed, "columns_moved": _columns_moved, "lines": _lines,
    "encoding": _encoding, "quotes": _quotes, "blank": _blank, "base64": _base64, "empty": _empty,
}  # fmt: skip
