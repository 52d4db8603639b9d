"""Commands whose argument is a random id: one in 64 begins with a hyphen, and must not read as an option."""

from __future__ import annotations

import re

import click

_LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{21}")


class IdCommand(click.Command):
    """A command with one id as its argument; `-hAbc…` is that id, never `-h`."""

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
            elif _LIKE_AN_OPTION.fullmatch(token) is not None:
                ids.append(token)
            else:
                front.append(token)
        return super().parse_args(ctx, [*front, "--", *ids] if ids else front)
