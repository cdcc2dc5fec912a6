"""What TCMR's integration believes of every frame of a clip."""

import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.models.model import ModelDesign, MotionModel


def model(**design) -> MotionModel:
    torch.manual_seed(0)
    sizes = {"width": 24, "regressor_width": 16, "recurrent_width": 12, "integration_width": 8, "rotation": "6d"}
    return MotionModel(ModelDesign(24, **{"encoder": "pose-forecast", **sizes, **design})).eval()


@torch.no_grad()
def test_every_frame_has_the_attention_of_its_own_window():
    tcmr = model(pose_forecast="without-current", residual=False)
    phi = torch.randn(2, 20, 24, generator=torch.Generator().manual_seed(1))
    attention = tcmr.attention(phi)
    assert attention.shape == (2, 20, 3)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 20))
    inside = tcmr(phi)  # frames that have a whole window: those from the ninth on
    torch.testing.assert_close(attention[:, 8:13], inside.attention)
    first = torch.cat([phi[:, :1].expand(-1, 8, -1), phi[:, :8]], dim=1)
    torch.testing.assert_close(attention[:, 0], tcmr.encoder(tcmr.frames(first)).attention)


def test_a_model_that_integrates_nothing_is_refused():
    for other in (model(pose_forecast="none"), model(encoder="gru")):
        with pytest.raises(FatalError, match="integrates no past and future"):
            other.attention(torch.zeros(1, 20, 24))
