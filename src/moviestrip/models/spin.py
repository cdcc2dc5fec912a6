"""SPIN: one image to one body. Its features are what VIBE and TCMR read, its regressor is where theirs start."""

from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.features.residual import FEATURES, ResNet50
from moviestrip.models.model import Branch, ModelDesign, MotionModel


def spin_design(regressor_width: int = 1024) -> ModelDesign:
    """No encoder of time; 6D rotations; hidden layers that are not rectified."""
    return ModelDesign(
        feature_size=FEATURES,
        encoder="none",
        width=FEATURES,
        regressor_width=regressor_width,
        rotation="6d",
        rectified=False,
    )


class Spin(nn.Module):
    """(images, 3, 224, 224) normalised pixels to a branch with one row an image: its features and its Theta."""

    def __init__(self, regressor_width: int = 1024):
        super().__init__()
        self.backbone = ResNet50()
        self.head = MotionModel(spin_design(regressor_width))

    def forward(self, images: Float[Tensor, "images 3 height width"]) -> Branch:
        return self.head.read("contextual", self.backbone(images))
