"""The optimiser is torch's own, and does without torch's compiler."""

import subprocess
import sys

import torch

from moviestrip.training.optimisers import AdamW


def trained(kind, steps, start=None):
    """The weights of a layer after some steps on fixed numbers, and the optimiser's state."""
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(5, 3)
    values = torch.randn(20, 8, 5, generator=generator)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    optimiser = kind(layer.parameters(), 0.01, weight_decay=0.1)
    if start is not None:
        layer.load_state_dict(start[0])
        optimiser.load_state_dict(start[1])
    first = 0 if start is None else start[2]
    for step in range(first, first + steps):
        optimiser.zero_grad()
        layer(values[step]).square().sum().backward()
        optimiser.step()
    return layer.state_dict(), optimiser.state_dict(), first + steps


def test_it_steps_as_torch_s_own_and_so_does_one_that_was_saved_between():
    whole, _, _ = trained(torch.optim.AdamW, 12)
    found, _, _ = trained(AdamW, 5, start=trained(AdamW, 7))
    for name, value in whole.items():
        assert torch.equal(found[name], value)


def test_a_training_step_does_not_load_torch_s_compiler():
    program = (
        "import sys, torch\n"
        "from moviestrip.training.loop import reproducible\n"
        "from moviestrip.training.optimisers import AdamW\n"
        "with reproducible(0, 1):\n"
        "    layer = torch.nn.Linear(2, 1)\n"
        "    optimiser = AdamW(layer.parameters())\n"
        "    layer(torch.ones(3, 2)).sum().backward()\n"
        "    torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)\n"
        "    optimiser.step()\n"
        "    optimiser.zero_grad()\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0
