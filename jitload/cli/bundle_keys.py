"""`jitload bundle sign`, `keygen` and `trust`: keys, what they sign, and who trusts them."""

from pathlib import Path
from typing import Annotated

import typer

from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.bundles.signature import Signature
from jitload.bundles.trust import Policy, key_id, parse_public_key, read_policy
from jitload.bundles.trust_file import encode_trust_file, find_key
from jitload.cli.bundle_arguments import AsJson, BundleFile, Out
from jitload.cli.console import clean_failures, print_answer
from jitload.cli.tables import format_count, format_utc, parse_utc
from jitload.files.atomic import write_file
from jitload.format.json import MAX_DIGITS


def sign(
    bundle: BundleFile,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Private key.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option("--name", help="What the key calls itself in the signature. Default: as FILE.pub says."),
    ] = None,
    when: Annotated[
        int | None,
        typer.Option("--time", parser=parse_utc, metavar="TIME", help="When: 2026-05-01T12:00:00Z. Default: now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a signature; what is signed is verified first. Several keys may sign one bundle.

    Name and time are signed too. With --time, signing again gives the same bytes.
    """
    with clean_failures():
        made = sign_bundle(bundle, key, name=name, time=when)
        document = {"bundle": str(bundle), "signature": signature_row(made)}
        print_answer(document, f"{bundle}: signed {describe_signature(made)}", as_json=as_json)


def keygen(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File for the private key.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="What to call it where it vouches for a bundle.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key to sign with.

    FILE is the private key, for its owner alone; FILE.pub is for those who trust it. Prints the public key, and its
    id, by which it can be revoked. Nothing is written where one of the files exists.
    """
    with clean_failures():
        public = generate_keys(path, name or path.name)
        identity = key_id(parse_public_key(public))
        document = {"private": str(path), "public": f"{path}.pub", "public_key": public, "key": identity}
        print_answer(document, f"{public}\nkey id {identity}", as_json=as_json)


def trust_file(
    keys: Annotated[list[str], typer.Argument(metavar="KEY", help="Public keys or .pub files.", show_default=False)],
    out: Out,
    threshold: Annotated[int, typer.Option("--threshold", min=1, help="How many of them must have signed.")] = 1,
    revoke: Annotated[
        list[str] | None,
        typer.Option(
            "--revoke",
            metavar="KEY",
            help="A key that no longer counts: its .pub file, the key itself, its id, or the first digits of the id of "
            "a key that is named here; repeatable.",
        ),
    ] = None,
    not_older_than: Annotated[
        list[str] | None,
        typer.Option(
            "--not-older-than",
            metavar="NAME=SERIAL",
            help="The least serial of the bundles of that name ('*': of all others); repeatable. Bundles that are not "
            "named here are then refused.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a trust file.

    It names the keys that may sign, how many of them must, which no longer count, and which bundles are too old.
    """
    with clean_failures():
        policy = read_policy(keys)
        if policy.unsigned:
            raise ValueError("'unsigned' is no key: write it in place of a trust file, where bundles are opened")
        revoked = {find_key(text, policy.keys) for text in revoke or ()} | policy.revoked
        counting = len(policy.keys.keys() - revoked)
        if threshold > counting:
            many = format_count(threshold, "key")
            raise ValueError(f"{many} must sign and {counting} would count: name more keys, or lower --threshold")
        serials = [*policy.serials, *([dict(map(_serial, not_older_than))] if not_older_than else [])]
        text = encode_trust_file(Policy(policy.keys, threshold, revoked, serials))
        write_file(out, text.encode())
        away = f"; {format_count(len(revoked), 'key')} revoked" if revoked else ""
        document = {"file": str(out), "threshold": threshold, "keys": sorted(policy.keys), "revoked": sorted(revoked)}
        said = f"{out}: {threshold} of {format_count(counting, 'key')} must sign{away}"
        print_answer(document, said, as_json=as_json)


def signature_row(signature: Signature) -> dict[str, object]:
    """A signature, as `--json` gives it."""
    time = None if signature.time is None else format_utc(signature.time)
    return {"key": signature.key, "name": signature.name, "time": time}


def describe_signature(signature: Signature) -> str:
    """A signature in one line: the id of its key, and what that says of itself and of the time."""
    if signature.time is None:
        return f"by key {signature.key}"
    return f"by key {signature.key} ({signature.name or 'no name'}, {format_utc(signature.time)})"


def _serial(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals or not number.isdecimal() or len(number) > MAX_DIGITS:
        raise ValueError(f"--not-older-than {text!r}: write a name and a serial, e.g. ops=7")
    return name, int(number)
