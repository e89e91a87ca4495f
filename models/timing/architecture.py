"""The sizes of the networks of the inter-event times, and the shapes of their weights."""

from __future__ import annotations

import msgspec

from models.numerics import Shapes, member_linear_shapes, scaler_shapes
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS
from models.timing.excitation_features import EVENT_FEATURES, OWN_FEATURES

HOUR_INPUTS = 4


class Architecture(msgspec.Struct, frozen=True):
    """The sizes of the networks of the inter-event times."""

    regions: tuple[str, ...] = ("",)
    """Each has a background rate of its own, and nothing else."""
    reach: int = 512
    """How many events back an event's local traces count."""
    kernel_members: int = 2
    kernel_hidden: tuple[int, int] = (64, 32)
    memory_members: int = 4
    hidden: int = 32
    """Units of the LSTM."""
    head: int = 64
    """Hidden units of the memory's head."""
    components: int = 16
    """Log-normal components of a member."""
    large_events: bool = False
    """Whether the productivity of large events is a distribution."""
    hours: bool = False
    """Whether the local solar time is an input of the memory: at night, networks detect smaller events."""
    source_depth: float = 0.0
    """Events down to so far below completeness excite, with weights of their own; 0: none do."""

    @property
    def inputs(self) -> int:
        """The number of the memory's inputs."""
        return KERNELS + 3 + OWN_FEATURES + (HOUR_INPUTS if self.hours else 0)

    @property
    def weight_shapes(self) -> Shapes:
        """The shapes of the weights of both networks, by name."""
        return self._kernel_shapes | self._memory_shapes

    @property
    def _kernel_shapes(self) -> Shapes:
        members, (first, second), terms = self.kernel_members, self.kernel_hidden, (len(KERNEL_PRODUCTIVITIES), KERNELS)
        shapes: Shapes = {"kernels.log_productivity": (members, *terms), "kernels.log_background": (members, len(self.regions))}
        if self.source_depth:
            shapes |= {"kernels.log_source_productivity": (members, *terms), "kernels.sources_per_event": terms}
        if self.large_events:
            shapes |= {"kernels.large_log_factors": (2, KERNELS), "kernels.large_log_shape": (2,), "kernels.large_correction": ()}
        return (
            shapes
            | scaler_shapes("kernels.scaler", EVENT_FEATURES)
            | member_linear_shapes("kernels.first", members, EVENT_FEATURES, first)
            | member_linear_shapes("kernels.second", members, first, second)
            | member_linear_shapes("kernels.last", members, second, KERNELS)
        )

    @property
    def _memory_shapes(self) -> Shapes:
        members, gates, context = self.memory_members, 4 * self.hidden, self.hidden + self.inputs
        lstm: Shapes = {
            "weight_ih_l0": (gates, self.inputs),
            "weight_hh_l0": (gates, self.hidden),
            "bias_ih_l0": (gates,),
            "bias_hh_l0": (gates,),
        }
        return (
            scaler_shapes("memory.scaler", self.inputs)
            | {f"memory.layers.{member}.{name}": shape for member in range(members) for name, shape in lstm.items()}
            | member_linear_shapes("memory.inner", members, context, self.head)
            | member_linear_shapes("memory.outer", members, context + self.head, 3 * self.components + 1)
        )
