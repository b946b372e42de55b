"""What a model can be asked for beside the colours of a grey photo."""

from dataclasses import dataclass

from huebands.colorize.exemplar import Exemplar, ExemplarError
from huebands.colorize.hints import HintRequest, HintsError
from huebands.colorize.sampling import SamplesError, Sampling
from huebands.models.interface import Network


@dataclass(frozen=True, eq=False)
class Abilities:
    """What a model's network can do.

    Attributes:
        network: of the model.
        source: the model's name in errors.
        knows_hints: whether its density knows how far hints reach.
    """

    network: Network
    source: str
    knows_hints: bool = False

    @property
    def samples(self) -> bool:
        """Whether it knows several colourings of a photo."""
        return self.network.gives_samples

    @property
    def hints(self) -> bool:
        """Whether its colours follow hints: by the network, or by the density."""
        return self.network.takes_hints or self.knows_hints

    @property
    def exemplar(self) -> bool:
        """Whether its colours follow a reference photo."""
        return self.network.takes_exemplar

    def check_samples(self, sampling: Sampling | None) -> None:
        """Check that it can draw samples, where they are asked for.

        Raises:
            SamplesError: when it knows one colouring only.
        """
        if sampling is not None and not self.samples:
            raise SamplesError(
                f"samples (={sampling.count}) must be left out: {self._name}, which knows one colouring only"
            )

    def check_hints(self, hints: HintRequest | None) -> None:
        """Check that it takes hints, where there are any.

        Raises:
            HintsError: when it takes none.
        """
        if hints is not None and not self.hints:
            raise HintsError(
                f"hints must be left out: {self._name}, which takes none, and was not calibrated with hints;"
                " take another model, or calibrate it with calibrate.hints"
            )

    def check_exemplar(self, like: Exemplar | bytes | str | None) -> None:
        """Check that it takes a reference photo, read or not, where there is one.

        Raises:
            ExemplarError: when it takes none.
        """
        if like is not None and not self.exemplar:
            raise ExemplarError(f"the reference photo must be left out: {self._name}, which takes none")

    @property
    def _name(self) -> str:
        return f"{self.source} has the network {self.network.params.name}"
