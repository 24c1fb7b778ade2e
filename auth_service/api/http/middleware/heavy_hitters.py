"""Which values come most often, counted in bounded memory however many there are."""

MOST_COUNTED = 50


class HeavyHitters:
    """Counts values by the algorithm of Misra and Gries (1982).

    With 50 counters, whatever is more than a 51st of all that came has one, in whatever order it came, and its count
    is short by no more than that. An addition takes a fixed number of steps on average.
    """

    def __init__(self) -> None:
        self._total = 0
        self._counts: dict[str, int] = {}

    def add(self, value: str) -> None:
        counts = self._counts
        self._total += 1
        if value in counts:
            counts[value] += 1
        elif len(counts) < MOST_COUNTED:
            counts[value] = 1
        else:  # one of each of 51 values cancel each other out
            self._counts = {name: count - 1 for name, count in counts.items() if count > 1}

    def heaviest(self, most: int) -> tuple[dict[str, int], int]:
        """The values with the highest counts, the highest first, and how many times came what is not among them."""
        ranked = sorted(self._counts.items(), key=lambda item: -item[1])[:most]
        return dict(ranked), self._total - sum(count for _, count in ranked)
