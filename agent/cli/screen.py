"""The picture of `watch`: a status reply -> lines of plain ASCII that fit the terminal. Pure."""

from __future__ import annotations

from agent.cli import clock, text
from agent.local import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Reply = dict[str, Any]

_FOOT = "q or Ctrl-C ends"
_PLAIN = {ord("°"): "", ord("−"): "-", ord("×"): "x", ord("–"): "-"}  # for a serial console that is not UTF-8
_ROWS_FOR_BARS = 22  # on a smaller screen what is wrong matters more than a picture


def draw(reply: Reply, columns: int, rows: int, silent_s: int = 0) -> list[str]:
    """`rows` lines of at most `columns` characters. `silent_s`: how long nothing has come, shown from 3 s on."""
    lines = [_header(reply, columns, silent_s), ""]
    lines += _table(reply)
    if rows >= _ROWS_FOR_BARS:
        lines += ["", *_flows(reply, columns), "", _soc_bar(reply, columns), *_power_bar(reply, columns)]
    lines += text.hang("GIVEN    ", str(reply["control"]["given_text"]), 9, columns)
    lines += text.hang("BECAUSE  ", str(reply["control"]["because"]), 9, columns)
    lines = lines[: rows - 2]
    lines += _health(reply["health"], columns, rows - len(lines) - 1)
    lines = lines[: rows - 1]
    lines += [""] * (rows - 1 - len(lines)) + [_FOOT]
    return [_clip(line, columns) for line in lines]


def one_line(reply: Reply) -> str:
    """The same for a terminal that cannot move its cursor: one line a cycle."""
    control, battery, grid = reply["control"], reply["battery"], reply["grid"]
    mark = "ok" if reply["ok"] else _worst(reply)
    held = f"{control['binding']} holds" if control["binding"] else control["mode"]
    return (
        f"{clock.local_time(int(reply['wall_ms']), '%H:%M:%S')[:8]} {mark} {words.percent(battery['soc_permille'])}"
        f" {words.battery_flow(battery['battery_w'])}, {words.grid_flow(grid['grid_w'])},"
        f" load {words.watts(grid['load_w'])}, {held}"
    )


def _worst(reply: Reply) -> str:
    return text.bare_symbol(reply["health"][0]["level"])


def _header(reply: Reply, columns: int, silent_s: int) -> str:
    left = f"batteryd {reply['version']}   up {words.lasting(int(reply['uptime_s']))}"
    middle = f"!! no news for {silent_s} s" if silent_s >= 3 else ""
    right = clock.local_time(int(reply["wall_ms"]))
    if reply["clock"] != "synced":
        right += f" ({reply['clock']})"
    return f"{left}   {middle}".ljust(columns - len(right) - 1)[: columns - len(right) - 1] + " " + right


def _table(reply: Reply) -> list[str]:
    control = reply["control"]
    rows = [
        ("LINK", reply["link"]),
        ("CONTROL", {"level": control["level"], "text": control["mode_text"]}),
        ("GRID", reply["grid"]),
        ("BATTERY", reply["battery"]),
        ("RESERVE", reply["reserve"]),
        ("COMMAND", reply["command"] or {"level": "none", "text": "none"}),
    ]
    return [f"{name:9}{text.bare_symbol(row['level'])}  {row['text']}" for name, row in rows]


def _flows(reply: Reply, columns: int) -> list[str]:
    grid_w, battery_w = reply["grid"]["grid_w"], reply["battery"]["battery_w"]
    third = min(columns, 80) // 3
    heads = "GRID".center(third) + "HOUSE".center(third) + "BATTERY".center(third)
    load = words.watts(reply["grid"]["load_w"])
    house = f"{_arrow(grid_w, '-->', '<--')}  load {load}  {_arrow(battery_w, '<--', '-->')}"
    values = words.grid_flow(grid_w).center(third) + house.center(third) + words.battery_flow(battery_w).center(third)
    sun = " " * third + f"PV {words.watts(reply['grid']['pv_w'])}".center(third)
    return [heads.rstrip(), values.rstrip(), sun.rstrip()]


def _arrow(watts: int | None, plus: str, minus: str) -> str:
    if watts is None:
        return " ? "
    return "   " if watts == 0 else plus if watts > 0 else minus


def _soc_bar(reply: Reply, columns: int) -> str:
    soc, reserve = reply["battery"]["soc_permille"], int(reply["reserve"]["effective_permille"])
    room = min(columns, 80) - 25
    full = 0 if soc is None else soc * room // 1000
    cells = ["="] * full + ["."] * (room - full) if soc is not None else [" "] * room
    cells[min(reserve * room // 1000, room - 1)] = "R"
    return f"SoC      [{''.join(cells)}]  R = reserve"


def _power_bar(reply: Reply, columns: int) -> list[str]:
    """Charge left of `|`, discharge right: `=` flows now, `.` is permitted, space is not; A asked, G given."""
    control, battery_w = reply["control"], reply["battery"]["battery_w"]
    lo_w, hi_w, asked, given = control["lo_w"], control["hi_w"], control["asked_w"], control["given_w"]
    rated = [int(d[key]) for d in reply["devices"] for key in ("rated_charge_w", "rated_discharge_w") if key in d]
    scale: int = max([1000, *rated, -lo_w, hi_w, *(abs(w) for w in (asked, given, battery_w) if w is not None)])
    half = (min(columns, 80) - 12) // 2

    def at(watts: int) -> int:
        return half + (abs(watts) * half // scale) * (1 if watts >= 0 else -1)

    cells = ["." if at(lo_w) <= i <= at(hi_w) else " " for i in range(2 * half + 1)]
    if battery_w is not None:
        for i in range(min(half, at(battery_w)), max(half, at(battery_w)) + 1):
            cells[i] = "="
    cells[half] = "|"
    for mark, watts in (("A", asked), ("G", given)):
        if watts is not None:
            cells[at(watts)] = mark
    names = "G asked and given" if asked is not None and "A" not in cells else ""
    names = names or ", ".join(f"{mark} {name}" for mark, name in (("A", "asked"), ("G", "given")) if mark in cells)
    permitted = f". permitted: charge {-lo_w} W to discharge {hi_w} W"
    return [f"POWER    [{''.join(cells)}]", f"         {names + ', ' if names else ''}{permitted}"]


def _health(items: list[Reply], columns: int, room: int) -> list[str]:
    """Worst first. Where not all fits with its next step, one line an item; what still does not fit is counted."""
    if not items:
        return ["", "# Health check: ok"]
    full, short = ["", "# Health check:"], ["# Health check: next steps with batteryctl status"]
    for item in items:
        head = f"  {text.bare_symbol(item['level'])}  "
        short.append(f"{head}{item['text']}")
        full += text.hang(head, str(item["text"]), 6, columns)
        if item["next"]:
            full += text.hang("      next: ", str(item["next"]), 12, columns)
    if len(full) <= room:
        return full
    hidden = len(short) - max(room, 2) + 1
    if hidden > 1:
        first = items[max(0, len(items) - hidden)]
        short = [*short[:-hidden], f"  {text.bare_symbol(first['level'])}  and {hidden} more"]
    return short


def _clip(line: str, columns: int) -> str:
    line = line.translate(_PLAIN)
    return line if len(line) <= columns else line[: columns - 2] + ".."
