"""`batteryctl bus scan`: who is on a line, whatever its speed and addresses. Reads alone.

Likely addresses first, at every setting; once somebody answers, all other addresses at that setting, and no other
setting: one line has one speed. `--all` goes through everything.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.tools import lines
from agent.tools.lines import Place, Refused, say
from agent.tools.scan_report import report, snippet
from drivers.family import Profile
from drivers.line import Line
from drivers.port import Port
from drivers.scan import ALL, EVERY_BAUD, LIKELY, PARITIES, Hit, Setting, Survey, Talk, settings

OK, USAGE, REFUSED, DEVICE, INTERRUPTED = 0, 2, 4, 5, 130
BY_ID = Path("/dev/serial/by-id")


class Scan:
    """One line. `hits` grows while it runs."""

    def __init__(self, place: Place, profiles: list[Profile], args: argparse.Namespace) -> None:
        self._place, self._profiles, self._args = place, profiles, args
        known = {unit for unit, _ in place.known}
        self._units = [unit for unit in units_of(args.units) if unit not in known]
        self.hits: list[Hit] = []
        self.noise: dict[Setting, int] = {}

    def run(self) -> None:
        """All that the arguments ask for. Refused if the line is not ours."""
        tried = self._settings()
        likely = [unit for unit in LIKELY if unit in self._units]
        for setting in tried:
            self._survey(setting, likely, dialects=not self._args.units or 1 in self._units)
            if self.hits and not self._args.all:
                break
        found = list(dict.fromkeys(hit.setting for hit in self.hits))
        for setting in found if found and not self._args.all else tried:
            taken = {hit.unit for hit in self.hits}
            rest = [unit for unit in self._units if unit not in likely and (self._args.all or unit not in taken)]
            self._survey(setting, rest, dialects=False)
            if self.hits and not self._args.all:
                break

    def _settings(self) -> list[Setting]:
        if self._place.tcp is not None:
            return [Setting(0)]
        if self._args.through and self._place.setting is not None:
            return [self._place.setting]
        usual = settings(self._profiles)
        if self._place.setting is not None:
            usual = list(dict.fromkeys([self._place.setting, *usual]))
        bauds = numbers(self._args.baud, EVERY_BAUD, "--baud")
        other = set(bauds) - {setting.baud for setting in usual}
        if other:
            known = ", ".join(str(baud) for baud in EVERY_BAUD)
            raise Refused(USAGE, f"--baud {min(other)} is none that a scan tries", f"--baud with some of {known}")
        parities = self._args.parity.upper().split(",") if self._args.parity else PARITIES
        unknown = [parity for parity in parities if parity not in PARITIES]
        if unknown:
            raise Refused(USAGE, f"--parity {unknown[0]} is none", "--parity N, or N,E,O")
        return [s for s in usual if s.baud in bauds and s.parity in parities]

    def _survey(self, setting: Setting, units: list[int], dialects: bool) -> None:
        if not units and not dialects:
            return
        port = lines.port_of(setting)
        survey = Survey(port, setting, self._profiles, self._args.jk)
        taken = {hit.unit for hit in self.hits}
        asks, line = self._open(setting, port)
        shown = Shown(setting, len(units), len(self.hits))
        try:
            self._drive(survey, survey.run(u for u in units if self._args.all or u not in taken), asks, shown)
            if dialects and not self._args.through:
                self._drive(survey, survey.dialects(), asks, shown)
        except OSError as error:
            raise Refused(DEVICE, f"{self._place} was lost: {error}", self._place.remedy) from error
        finally:
            self.hits += survey.hits
            self.noise[setting] = self.noise.get(setting, 0) + survey.noise
            shown.end()
            if line is not None:
                line.close()

    def _open(self, setting: Setting, port: Port) -> tuple[lines.Asks, Line | None]:
        if self._args.through:
            return lines.Through(self._args.through, str(self._place.bus)), None
        return lines.open_own(self._place, setting, port)

    @staticmethod
    def _drive(survey: Survey, talk: Talk, asks: lines.Asks, shown: Shown) -> None:
        try:
            request = next(talk)
            while True:
                shown.at(survey)
                request = talk.send(asks.ask(request))
        except StopIteration:
            return


class Shown:
    """Progress on stderr: one line that is written over on a terminal, one line a setting elsewhere."""

    def __init__(self, setting: Setting, count: int, found: int) -> None:
        self._setting, self._count, self._found = setting, count, found
        self._terminal = sys.stderr.isatty()
        self._seen: dict[int, None] = {}
        if not self._terminal:
            say(f"--  {setting}: asking {count} addresses")

    def at(self, survey: Survey) -> None:
        """Where it is."""
        if not self._terminal:
            return
        if survey.unit not in self._seen:
            self._seen[survey.unit] = None
            found = self._found + len(survey.hits)
            text = f"--  {self._setting}: unit {survey.unit} ({len(self._seen)} of {self._count}), {found} found"
            print(f"\r\033[K{text[:78]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """The line is free for what comes."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


# --- arguments --------------------------------------------------------------------------------------------------------
def numbers(text: str | None, usual: Iterable[int], option: str) -> tuple[int, ...]:
    """`9600,19200`."""
    if not text:
        return tuple(usual)
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise Refused(
            USAGE, f"{option} {text}: expected numbers with commas between", f"{option} 9600,19200"
        ) from error


def units_of(text: str | None) -> tuple[int, ...]:
    """`1-16,100`: addresses from 1 to 247. 0 is broadcast and never asked."""
    if not text:
        return ALL
    found: list[int] = []
    for word in text.split(","):
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise Refused(USAGE, f"--units {text}: expected addresses such as 1-16,100", "--units 1-16,100")
        for unit in (first, last or first):
            if len(unit) > 3 or int(unit) not in ALL:
                raise Refused(USAGE, f"unit {unit} is not an address: 1 to 247, and 0 is broadcast", "--units 1-247")
        if int(last or first) < int(first):
            raise Refused(USAGE, f"--units {word} counts down: there is no address in it", f"--units {last}-{first}")
        found += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(found))


def places_of(args: argparse.Namespace) -> Iterator[Place]:
    """The lines that are meant. Refused where a daemon owns one and more is asked of it than it may give."""
    config = lines.load_config(args.config, needed=False)
    owned = lines.places_of_daemon(args.through) if args.through else []
    if args.port or args.tcp:
        wanted = [Place(args.port, args.tcp)]
    else:
        wanted = owned or lines.places(config) or _plugged_in()
    if args.bus:
        wanted = [place for place in wanted if place.bus == args.bus]
        if not wanted:
            known = ", ".join(str(place.bus) for place in owned or lines.places(config)) or "none"
            raise Refused(USAGE, f"there is no bus {args.bus!r}; there are: {known}", "or name the port: --port PATH")
    for place in wanted:
        mine = next((other for other in owned if lines.same(place, other)), None)
        if mine is not None:
            _within(args, mine)
        yield mine or place


def _within(args: argparse.Namespace, place: Place) -> None:
    """A line of the daemon is asked at its own setting, or not at all."""
    setting = place.setting
    if setting is None or not setting.baud:
        return
    other = (args.baud and args.baud != str(setting.baud)) or (args.parity and args.parity.upper() != setting.parity)
    if other or args.all or args.jk:
        what = "other speeds" if other or args.all else "JK BMS, by a write,"
        raise Refused(
            REFUSED,
            f"batteryd owns {place} and reads its devices at {setting}: {what} would cut them off",
            f"sudo systemctl stop batteryd; batteryctl bus scan --port {place.port} ...; sudo systemctl start batteryd",
        )


def _plugged_in() -> list[Place]:
    """The only adapter that is there. Refused if there is none, or several."""
    found = sorted(BY_ID.iterdir()) if BY_ID.is_dir() else []
    if len(found) == 1:
        return [Place(str(found[0]), None)]
    if not found:
        raise Refused(USAGE, "there is no configuration and no USB serial adapter", "--port PATH or --tcp HOST:PORT")
    names = ", ".join(str(path) for path in found)
    raise Refused(USAGE, f"there are several serial adapters: {names}", f"--port {found[0]}")


def main(argv: list[str] | None = None) -> int:
    """0 somebody was found, 2 usage, 4 refused, 5 nobody answers, 130 interrupted (what was found is printed)."""
    parser = argparse.ArgumentParser(prog="batteryctl bus scan", description=__doc__.splitlines()[0])
    parser.add_argument("bus", nargs="?")
    for option in ("--port", "--tcp", "--baud", "--parity", "--units", "--through"):
        parser.add_argument(option)
    parser.add_argument("--config", default="/etc/batteryd/batteryd.toml")
    for flag in ("--all", "--jk", "--json"):
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args(argv)
    if args.tcp and ":" not in args.tcp:
        args.tcp += ":502"
    scans: list[tuple[Place, Scan]] = []
    code = OK
    try:
        profiles = lines.all_profiles(lines.load_config(args.config, needed=False))
        for place in places_of(args):
            own = argparse.Namespace(**vars(args))
            own.through = args.through if place.bus is not None else None
            scans.append((place, Scan(place, profiles, own)))
            scans[-1][1].run()
    except KeyboardInterrupt:
        code = INTERRUPTED
        say("--  interrupted: what was found until now")
    except Refused as error:
        if not any(scan.hits for _, scan in scans):
            return lines.failed(error, args.json)
        code = lines.complain(error)
    found = [(place, scan.hits, scan.noise) for place, scan in scans]
    if args.json:
        print(json.dumps(report(found, code or (OK if any(h for _, h, _ in found) else DEVICE))))
    else:
        for line in snippet(found, args.jk or bool(args.through), interrupted=code == INTERRUPTED):
            print(line)
    return code or (OK if any(hits for _, hits, _ in found) else DEVICE)


if __name__ == "__main__":
    sys.exit(lines.guarded(main))
