"""Groups of queries: queries see only those of their own group, although all of an image are decoded together.

Everything in a decoder layer but self-attention computes each query alone, so only self-attention needs the groups.
"""

from dataclasses import dataclass

from torch import Tensor

from ..shapes import Bool


@dataclass(frozen=True, slots=True)
class EqualGroups:
    """`count` groups of `size` queries for each of B images, one group after another.

    `valid` is False for padding queries, which the others do not see; None where there are none.
    """

    count: int
    size: int
    valid: Bool[Tensor, "BG N"] | None = None

    @property
    def queries(self) -> int:
        """The queries of an image in all groups."""
        return self.count * self.size

    @property
    def mask(self) -> Bool[Tensor, "BG 1 1 N"] | None:
        """The mask of the self-attention: True for queries that take part. In a group without any, all take part."""
        if self.valid is None:
            return None
        return (self.valid | ~self.valid.any(1, keepdim=True))[:, None, None]


Groups = tuple[EqualGroups, ...]  # of the queries of an image, in their order
