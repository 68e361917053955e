"""A scrape of /metrics, and sums over several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Scrape:
    """What processes said: each sample by its name and labels, added up."""

    samples: dict[Sample, float]

    @classmethod
    def read(cls, *texts: str) -> Self:
        """Read expositions, each of which may have a sample once only."""
        added: dict[Sample, float] = {}
        for text in texts:
            found = [
                ((sample.name, frozenset(sample.labels.items())), sample.value)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            ]
            assert len(dict(found)) == len(found)
            for key, value in found:
                added[key] = added.get(key, 0.0) + value
        return cls(added)

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of this metric's samples that have these labels."""
        wanted = labels.items()
        return sum(value for (found, has), value in self.samples.items() if found == name and wanted <= has)

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Return the sums by another label's values, without those that are zero."""
        values = {dict(has)[label] for found, has in self.samples if found == name and label in dict(has)}
        totals = {value: self.total(name, **labels | {label: value}) for value in values}
        return {value: total for value, total in totals.items() if total}

    @property
    def series(self) -> set[Sample]:
        return set(self.samples)


async def scrape(http: httpx.AsyncClient, urls: Sequence[str]) -> Scrape:
    """Ask each process once."""
    return Scrape.read(*[(await http.get(f"{url}/metrics")).text for url in urls])
