"""Options that name where a secret is, never the secret itself: arguments are seen by every user of the machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from service.addresses import Address, read_address
from service.domain.credentials import Headers, basic, bearer, faults_in
from service.domain.model import Secret, ServiceError

_WHERE = "env:NAME (an environment variable) or file:PATH"

HeaderOption = Annotated[
    list[str] | None, typer.Option("--header", help=f"NAME=WHERE: a request header whose value is in {_WHERE}.")
]
BasicOption = Annotated[str, typer.Option("--basic", help=f"Where `user:password` is: {_WHERE}.")]
BearerOption = Annotated[str, typer.Option("--bearer", help=f"Where a bearer token is: {_WHERE}.")]


def address_of(url: str, headers: Sequence[str] | None, user: str, token: str) -> Address:
    """An address as it is stored, with what its server is to be shown. ServiceError says what is wrong."""
    try:
        address = read_address(url)
    except ValueError as exc:
        raise ServiceError(str(exc)) from exc
    sent = (*address.headers, *_given(headers or (), user, token))
    if faults := list(faults_in(sent)):
        raise ServiceError("; ".join(faults))
    return Address(url=address.url, headers=sent)


def _given(headers: Sequence[str], user: str, token: str) -> Headers:
    given: list[tuple[str, Secret]] = []
    for written in headers:
        name, sign, where = written.partition("=")
        if not sign:
            raise typer.BadParameter(f"write --header NAME=WHERE, with WHERE as {_WHERE}")
        given.append((name.strip(), _secret(where)))
    if user:
        name, _, password = _secret(user).reveal().partition(":")
        given += basic(name, Secret(password))
    if token:
        given += bearer(_secret(token))
    return tuple(given)


def _secret(where: str) -> Secret:
    """What is at `env:NAME` or `file:PATH`, without the line's end. What was written is not repeated: it may be it."""
    kind, _, place = where.partition(":")
    if kind == "env":
        if place not in os.environ:
            raise ServiceError(f"the environment variable {place} is not set")
        return Secret(os.environ[place].strip())
    if kind != "file":
        raise typer.BadParameter(f"a secret is not given here but read from {_WHERE}")
    try:
        return Secret(Path(place).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise ServiceError(f"{place} cannot be read: {exc}") from exc
