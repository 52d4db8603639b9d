"""Commands whose arguments are random ids: one in 64 begins with a hyphen, and must not read as an option."""

from __future__ import annotations

import re

import click

_LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{21}")
_BEGINNING = re.compile(r"-[A-Za-z0-9_][A-Za-z0-9_-]{2,19}")


class IdCommand(click.Command):
    """A command whose arguments are ids or their beginnings; `-hAbc…` is an id, never `-h`.

    A beginning has four characters or more. The program's own short option is `-h` alone, so nothing that
    somebody could mean is lost.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move ids that look like options behind `--`, the values of options left where they are."""
        taking = {
            name: one.nargs
            for one in self.get_params(ctx)
            if isinstance(one, click.Option) and not one.is_flag
            for name in one.opts
        }
        front: list[str] = []
        ids: list[str] = []
        rest = list(args)
        while rest:
            token = rest.pop(0)
            if token == "--":
                ids += rest
                break
            if token in taking:
                front += [token, *rest[: taking[token]]]
                rest = rest[taking[token] :]
            elif _LIKE_AN_OPTION.fullmatch(token) or _BEGINNING.fullmatch(token):
                ids.append(token)
            else:
                front.append(token)
        return super().parse_args(ctx, [*front, "--", *ids] if ids else front)
