"""`batteryctl bus dump DEVICE -o FILE`: every register of a device's profile into a file to send. Reads alone."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agent.tools import capture, lines
from agent.tools.device_reader import DeviceReader
from agent.tools.lines import Refused, say
from drivers.binding import Binding


def ranges(texts: list[str]) -> list[tuple[int, int, int]]:
    """`3:40000:120` each. Refused if it is no range."""
    found = []
    for text in texts:
        try:
            function, address, count = (int(word, 0) for word in text.split(":"))
        except ValueError as error:
            raise Refused(2, f"--range {text}: expected FUNCTION:ADDRESS:COUNT", "--range 3:40000:120") from error
        if function not in (1, 2, 3, 4) or not 0 <= address <= 0xFFFF or not 1 <= count <= 0x10000 - address:
            raise Refused(2, f"--range {text}: functions 1 to 4 read, addresses end at 65535", "--range 3:40000:120")
        found.append((function, address, count))
    return found


def dump(args: argparse.Namespace) -> str:
    """Writes the file; what was written, a sentence."""
    wanted = ranges(args.range or [])
    target = Path(args.output)
    if not target.parent.is_dir():
        raise Refused(2, f"{target.parent} is no directory", "-o FILE")
    config = lines.load_config(args.config, needed=True)
    assert config is not None
    with DeviceReader(config, args.device, args.through) as reader:
        found = reader.identified()
        if isinstance(found, str):
            say(f"!!  {found}")
        binding = found if isinstance(found, Binding) else None
        if wanted and reader.spec.profile.dialect:
            raise Refused(2, f"{reader.spec.profile.title} is not Modbus and has no ranges", "leave --range out")
        for function, address, count in wanted:
            reader.read(function, address, count)
        if binding is not None and not wanted:
            reader.registers(binding)
    body = capture.make(reader.spec, binding, reader.taken, args.redact)
    if not body["blocks"]:
        raise Refused(6, f"{args.device} answers nothing that could be kept", "batteryctl bus test")
    try:
        target.write_text(json.dumps(body, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise Refused(2, f"{target} cannot be written: {error.strerror}", "-o FILE") from error
    count = sum(len(block.get("words", [])) for block in body["blocks"])
    told = f"{target}: {count} registers of {args.device} in {len(body['blocks'])} reads"
    if body["refused"]:
        told += f", {len(body['refused'])} refused"
    return told


def main(argv: list[str] | None = None) -> int:
    """0 written, 2 usage, 5 device, 6 it does not answer."""
    parser = argparse.ArgumentParser(prog="batteryctl bus dump", description=__doc__.splitlines()[0])
    parser.add_argument("device")
    parser.add_argument("--output", required=True)
    parser.add_argument("--range", action="append")
    parser.add_argument("--redact", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--config", required=True)
    parser.add_argument("--through")
    args = parser.parse_args(argv)
    try:
        told = dump(args)
    except KeyboardInterrupt:
        say("--  interrupted: nothing was written")
        return 130
    except Refused as error:
        return lines.failed(error, args.json)
    if args.json:
        print(json.dumps({"v": 1, "ok": True, "code": 0, "file": args.output, "text": told}))
    else:
        print(f"ok  {told}")
        if not args.redact:
            say("--  it holds serial numbers; with --redact it does not")
    return 0


if __name__ == "__main__":
    sys.exit(lines.guarded(main))
