"""What reaches the log is one line an entry, whoever wrote its text."""

from __future__ import annotations

import os

from agent.runtime.journal import Journal
from agent.runtime.part import Log


def test_no_text_makes_a_second_line_or_moves_a_cursor() -> None:
    read, write = os.pipe()
    journal = Journal(write, prefixed=True)
    journal(Log("warning", "refused: \n<3>error forged\x1b[2J\r\u2028\u202e\x9b end, with \u00fc and 5 %"))
    journal.flush()
    os.close(write)
    with os.fdopen(read, "rb") as file:
        said = file.read().decode()
    shown = "refused: \\u000a<3>error forged\\u001b[2J\\u000d\\u2028\\u202e\\u009b end, with \u00fc and 5 %"
    assert said == f"<4>warning {shown}\n"
