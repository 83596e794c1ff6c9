"""`python -m agent.tools.pin`: asks for the homeowner's PIN twice, prints the line for the configuration."""

from __future__ import annotations

import getpass
import secrets  # noqa: TID251  # an offline tool, not part of what is replayed: the salt must be unpredictable
import sys

from agent.local.pin import MAX_LENGTH, MIN_LENGTH, PinHash


def main() -> int:
    """0, or 2 if the PIN cannot be used."""
    pin = getpass.getpass("homeowner's PIN: ")
    if not MIN_LENGTH <= len(pin) <= MAX_LENGTH or not pin.isprintable():
        sys.stderr.write(f"xx a PIN has {MIN_LENGTH} to {MAX_LENGTH} characters, this one has {len(pin)}\n")
        return 2
    if getpass.getpass("once more: ") != pin:
        sys.stderr.write("xx the two are not the same; nothing was made\n")
        return 2
    sys.stderr.write("put this line under [local] in the configuration, then restart batteryd:\n")
    sys.stdout.write(f'homeowner_pin_hash = "{PinHash.of(pin, secrets.token_bytes(16)).text()}"\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
