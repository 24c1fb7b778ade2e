"""Options that take a number, and what is said of what is none: click speaks of "a valid integer range"."""

import math
from typing import Any

import click


class WholeNumber(click.IntRange):
    """A whole number between two bounds, or of at least one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; raises click.BadParameter, which says what is expected."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"must be a whole number {_bounds(self)}.", param, ctx)


class Number(click.FloatRange):
    """A finite number between two bounds, or of more than one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; raises click.BadParameter, which says what is expected."""
        try:
            number = float(super().convert(value, param, ctx))
        except click.BadParameter:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"must be a number {_bounds(self)}.", param, ctx)
        return number


def _bounds(expected: click.IntRange | click.FloatRange) -> str:
    if expected.max is not None:
        return f"from {expected.min} to {expected.max}"
    return f"of {'more than' if expected.min_open else 'at least'} {expected.min}"
