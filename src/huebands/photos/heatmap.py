"""Heat maps in matplotlib's colours magma, copied here because serving has no matplotlib."""

from dataclasses import dataclass

import numpy as np

_MAGMA = (
    "00000300000400000601000701010901010b02020d02020f03031104031304041505041706051907051b08061d09071f"
    "0a07220b08240c09260d0a280e0a2a0f0b2c100c2f110c31120d33140d35150e38160e3a170f3c180f3f1a10411b1044"
    "1c10461e10491f114b20114d2211502311522511552611572811592a115c2b115e2d10602f1062301065321067341068"
    "350f6a370f6c390f6e3b0f6f3c0f713e0f72400f73420f74430f75450f76470f774810784a10794b10794d117a4f117b"
    "50127b52127c53137c55137d57147d58157e5a157e5b167e5d177e5e177f60187f61187f63197f651a80661a80681b80"
    "691c806b1c806c1d806e1e816f1e81711f81731f817420817621817721817922817a22817c23817e24817f2481812581"
    "8225818426818526818727818928818a28818c29808d29808f2a80912a80922b80942b80952c80972c7f992d7f9a2d7f"
    "9c2e7f9e2e7e9f2f7ea12f7ea3307ea4307da6317da7317da9327cab337cac337bae347bb0347bb1357ab3357ab53679"
    "b63679b83778b93778bb3877bd3977be3976c03a75c23a75c33b74c53c74c63c73c83d72ca3e72cb3e71cd3f70ce4070"
    "d0416fd1426ed3426dd4436dd6446cd7456bd9466ada4769dc4869dd4968de4a67e04b66e14c66e24d65e44e64e55063"
    "e65162e75262e85461ea5560eb5660ec585fed595fee5b5eee5d5def5e5df0605df1615cf2635cf3655cf3675bf4685b"
    "f56a5bf56c5bf66e5bf6705bf7715bf7735cf8755cf8775cf9795cf97b5df97d5dfa7f5efa805efa825ffb8460fb8660"
    "fb8861fb8a62fc8c63fc8e63fc9064fc9265fc9366fd9567fd9768fd9969fd9b6afd9d6bfd9f6cfda16efda26ffda470"
    "fea671fea873feaa74feac75feae76feaf78feb179feb37bfeb57cfeb77dfeb97ffebb80febc82febe83fec085fec286"
    "fec488fec689fec78bfec98dfecb8efdcd90fdcf92fdd193fdd295fdd497fdd698fdd89afdda9cfddc9dfddd9ffddfa1"
    "fde1a3fce3a5fce5a6fce6a8fce8aafceaacfcecaefceeb0fcf0b1fcf1b3fcf3b5fcf5b7fbf7b9fbf9bbfbfabdfbfcbf"
)


@dataclass(frozen=True)
class Scale:
    """What the colours of a heat map mean, the same for every photo.

    Attributes:
        title: of the map.
        top: value of the last colour, and of all above it; the first is 0.
        unit: of the values.
    """

    title: str
    top: float
    unit: str

    def describe(self) -> dict[str, str]:
        """Describe it in words, for a picture's file."""
        return {"Title": self.title, "Description": f"from black, 0, to pale yellow, {self.top:g} {self.unit} or more"}


WIDTH = Scale("width of the bands", 255.0, "8-bit levels")
EXPECTED_ERROR = Scale("expected error", 30.0, "CIEDE2000")


def heat_map(map_HW: np.ndarray, scale: Scale = WIDTH) -> np.ndarray:
    """Colour a map.

    Args:
        map_HW: (H, W), not negative; the same value has the same colour in every picture.
        scale: of the values.

    Returns:
        uint8 (H, W, 3) sRGB.
    """
    colours: np.ndarray = magma()[heat_levels(map_HW, scale)]
    return colours


def heat_levels(map_HW: np.ndarray, scale: Scale = WIDTH) -> np.ndarray:
    """Round a map's values to levels of `magma`, halves upwards, uint8 (H, W)."""
    levels: np.ndarray = np.floor(map_HW * np.float32(255 / scale.top) + np.float32(0.5))
    return levels.clip(0, 255).astype(np.uint8)


def magma() -> np.ndarray:
    """The colours of heat maps for the levels 0 to 255, uint8 (256, 3)."""
    return np.frombuffer(bytes.fromhex(_MAGMA), np.uint8).reshape(256, 3)
