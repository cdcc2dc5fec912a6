"""Going somewhere: walks, runs and turns written as footsteps along a path.

A planted foot keeps its place and heading until it is lifted; hips and arms follow. What makes one walk unlike
another (step, width, tempo, turning, arms, trunk) is drawn once a motion.
"""

import math
from dataclasses import dataclass
from typing import Any

from moviestrip.world.dice import Dice, Repetition
from moviestrip.world.posture import Score

HANGING = (0.17, -0.965, 0.06)


@dataclass
class Gait:
    """Parameters of a walk, lengths in legs."""

    step: float
    width: float
    step_s: float
    turn_a_step: float
    swing: float  # of the arms
    bend: float  # of the elbows, 0 hanging to 1 as in running
    lean: float
    bounce: float
    lift: float
    roll: float  # of the foot: heel strike and push-off
    hip_height: float = 0.965
    tuck: float = 0.0  # how much the heel is drawn up behind, as in running


class Walker:
    """Lays one footstep after another into a score."""

    def __init__(self, score: Score, gait: Gait):
        self.score, self.gait = score, gait
        self.x, self.z, self.heading = 0.0, 0.0, 0.0
        self.side = "right"
        width = gait.width
        score.start(
            left_foot=(width, 0, 0),
            right_foot=(-width, 0, 0),
            pelvis=(0, gait.hip_height, 0),
            lean=gait.lean,
            toes=(0.1, 0),
        )

    def _place(self, sign: float, ahead: float) -> tuple[float, float]:
        out = sign * self.gait.width
        return (
            self.x + ahead * math.sin(self.heading) + out * math.cos(self.heading),
            self.z + ahead * math.cos(self.heading) - out * math.sin(self.heading),
        )

    def step(self, share: float = 1.0, **changes: Any) -> None:
        """One footstep of `share` of the gait's length, then the hips over it."""
        gait, side = self.gait, self.side
        other = "left" if side == "right" else "right"
        sign = 1.0 if side == "left" else -1.0
        self.heading += gait.turn_a_step
        length = gait.step * share
        x, z = self._place(sign, length)
        yaw = sign * self.heading + 0.1
        behind = -sign * (self.heading - gait.turn_a_step) + 0.1
        middle = (self.x + 0.5 * length * math.sin(self.heading), self.z + 0.5 * length * math.cos(self.heading))
        before = self.score.now(f"{side}_foot")
        roll = gait.roll * min(1.0, abs(length) / 0.5)
        end: dict[str, Any] = {
            f"{side}_foot": (x, 0.0, z), f"{side}_toes": (yaw, -0.35 * roll), f"{other}_toes": (behind, 0.5 * roll),
            "turn": self.heading - sign * 0.1 * share, "spine": (0.04, sign * 0.16 * gait.swing * share, 0),
            "lean": gait.lean, "tilt": 0.0, "pelvis": (middle[0], gait.hip_height - gait.bounce, middle[1]),
        }  # fmt: skip
        self.score.key(gait.step_s, **(end | self._arms(sign * share) | changes))
        self.score.passing(0.15, **{f"{side}_toes": (sign * (self.heading - gait.turn_a_step) + 0.1, 0.9 * roll)})
        self.score.passing(0.3, **{f"{side}_toes": (yaw, 0.6 * roll + 0.9 * gait.tuck)})
        self.score.passing(0.65, **{f"{side}_toes": (yaw, 0.1 * roll)})
        for part in (0.2, 0.6):
            self.score.passing(part, **{f"{other}_toes": (behind, 0.0)})
        along = 0.45 - 0.2 * gait.tuck
        self.score.passing(
            along,
            **{f"{side}_foot": (before[0] + along * (x - before[0]), gait.lift, before[2] + along * (z - before[2]))},
        )
        stance_x = self.score.now(f"{other}_foot")[0]
        self.score.passing(
            0.5, tilt=sign * 0.04, lean=gait.lean,
            pelvis=(
                0.5 * (self.x + middle[0]) + 0.1 * (stance_x - self.x), gait.hip_height + gait.bounce,
                0.5 * (self.z + middle[1]),
            ),
        )  # fmt: skip
        self.x, self.z = middle
        self.side = other

    def _arms(self, forward_leg: float) -> dict[str, Any]:
        """Each arm swings with the opposite leg."""
        gait = self.gait
        up = -0.95 + 0.47 * gait.bend
        out = 0.17 - 0.21 * gait.bend
        ahead = {"left": -forward_leg, "right": forward_leg}
        return {
            f"{side}_hand": (
                out, up + (0.08 + 0.25 * gait.bend) * max(0.0, ahead[side]) * gait.swing,
                0.06 + 0.3 * gait.bend + (0.42 - 0.12 * gait.bend) * gait.swing * ahead[side],
            )
            for side in ("left", "right")
        }  # fmt: skip


def _gait(dice: Dice, **fixed: float) -> Gait:
    values = {
        "step": dice.between(0.55, 0.85), "width": dice.between(0.06, 0.13), "step_s": dice.between(0.46, 0.62),
        "turn_a_step": dice.one_of((0.0, 0.0, dice.between(-0.3, 0.3))), "swing": dice.between(0.4, 1.2),
        "bend": dice.between(0.0, 0.3), "lean": dice.between(-0.03, 0.12), "bounce": dice.between(0.008, 0.02),
        "lift": dice.between(0.07, 0.14), "roll": dice.between(0.6, 1.0),
    }  # fmt: skip
    return Gait(**(values | fixed))


def walking(dice: Dice, score: Score) -> Repetition:
    return Walker(score, _gait(dice)).step


def running(dice: Dice, score: Score) -> Repetition:
    gait = _gait(
        dice, step=dice.between(0.7, 1.0), step_s=dice.between(0.32, 0.4), bend=dice.between(0.8, 1.0),
        lean=dice.between(0.12, 0.25), lift=dice.between(0.28, 0.45), bounce=dice.between(0.025, 0.045),
        hip_height=0.93, swing=dice.between(0.8, 1.2), tuck=1.0,
    )  # fmt: skip
    return Walker(score, gait).step


def marching(dice: Dice, score: Score) -> Repetition:
    """Knees high, from on the spot to travelling."""
    gait = _gait(
        dice, step=dice.between(0.0, 0.45), lift=dice.between(0.3, 0.55), bend=dice.between(0.2, 0.9), roll=0.4,
        swing=dice.between(0.8, 1.4),
    )  # fmt: skip
    return Walker(score, gait).step


def sneaking(dice: Dice, score: Score) -> Repetition:
    """Low and careful, hands in front."""
    gait = _gait(
        dice, step=dice.between(0.45, 0.75), step_s=dice.between(0.65, 0.9), lean=dice.between(0.3, 0.55),
        lift=dice.between(0.15, 0.3), hip_height=dice.between(0.72, 0.85), roll=0.4, bounce=0.02,
    )  # fmt: skip
    walker = Walker(score, gait)
    high = dice.between(-0.35, -0.05)

    def repeat() -> None:
        look = dice.between(-0.5, 0.5)
        walker.step(
            left_hand=(0.0, high + dice.between(-0.12, 0.12), 0.5),
            right_hand=(0.0, high + dice.between(-0.12, 0.12), 0.5),
            head=(-0.35, look, 0), spine=(0.25, 0.2 * look, 0),
        )  # fmt: skip

    return repeat


def walking_backwards(dice: Dice, score: Score) -> Repetition:
    gait = _gait(dice, step=-dice.between(0.35, 0.55), step_s=dice.between(0.55, 0.75), roll=0.25, lean=0.02)
    walker = Walker(score, gait)
    side = dice.one_of((-1, 1))

    def repeat() -> None:
        look = side * dice.between(0.2, 0.9)
        walker.step(head=(0.05, look, 0), spine=(0.05, 0.3 * look, 0))

    return repeat


def walking_dog(dice: Dice, score: Score) -> Repetition:
    """One arm is pulled ahead by a lead; now and then the walker stops."""
    walker = Walker(score, _gait(dice, lean=dice.between(-0.12, 0.02)))
    pull, low = dice.between(0.55, 0.85), dice.between(-0.65, -0.3)

    def repeat() -> None:
        jerk = dice.between(-0.1, 0.1)
        lead = (dice.between(-0.1, 0.2), low + jerk, pull + 0.5 * jerk)
        if dice.chance(0.12):
            walker.step(0.0, right_hand=lead, head=(0.35, -0.2, 0))
            score.key(dice.between(0.3, 0.8), right_hand=(0.1, low, pull), pelvis=(walker.x, 0.96, walker.z))
        walker.step(right_hand=lead, head=(dice.between(0.1, 0.35), dice.between(-0.3, 0.2), 0))

    return repeat


def walking_together(dice: Dice, score: Score) -> Repetition:
    """Slower, turned to a companion at one side, and talking with a hand."""
    walker = Walker(score, _gait(dice, step=dice.between(0.5, 0.68), step_s=dice.between(0.5, 0.65)))
    side = dice.one_of((-1, 1))
    talk = dice.between(0.2, 0.8)

    def repeat() -> None:
        look = side * dice.between(0.25, 0.75)
        changes: dict[str, Any] = {"head": (dice.between(-0.05, 0.15), look, 0), "spine": (0.05, 0.25 * look, 0)}
        if dice.chance(talk):
            hand = "left" if side > 0 else "right"
            changes[f"{hand}_hand"] = (dice.between(0.0, 0.4), dice.between(-0.5, -0.2), dice.between(0.35, 0.6))
        walker.step(**changes)

    return repeat


def turning(dice: Dice, score: Score) -> Repetition:
    """On the spot, by small steps, then a pause."""
    angle = dice.one_of((-1, 1)) * dice.between(0.4, 0.85)
    gait = _gait(
        dice, step=0.0, width=dice.between(0.09, 0.16), turn_a_step=angle, lift=dice.between(0.05, 0.1), roll=0.3
    )
    walker = Walker(score, gait)
    walker.side = "left" if angle > 0 else "right"
    arms = dice.one_of((HANGING, (0.7, -0.3, 0.2), (0.05, -0.68, 0.12), (0.95, 0.1, 0.0)))

    def repeat() -> None:
        for _ in range(dice.one_of((1, 2, 4))):
            for _ in range(2):
                walker.step(head=(0, 0.5 * angle, 0), hands=arms, elbows=0.8 if arms[1] == -0.68 else 0.1)
        score.key(dice.between(0.3, 0.8), head=(0, 0, 0), turn=walker.heading)

    return repeat


def side_steps(dice: Dice, score: Score) -> Repetition:
    """Sideways, as a defender or a dancer does, there and back."""
    width, crouch = dice.between(0.35, 0.6), dice.between(0.78, 0.95)
    tempo, steps = dice.between(0.3, 0.5), dice.one_of((1, 2, 3))
    guard = dice.one_of(((0.55, -0.35, 0.45), (-0.1, -0.2, 0.45), (0.2, -0.8, 0.2), (0.8, 0.3, 0.2)))
    score.start(
        pelvis=(0, crouch, -0.08),
        lean=0.3 * (1 - crouch) * 4,
        knees=0.25,
        hands=guard,
        left_foot=(0.16, 0, 0),
        right_foot=(-0.16, 0, 0),
    )
    place = 0.0

    def repeat() -> None:
        nonlocal place
        for sign in (1, -1):
            lead, trail = ("left", "right") if sign > 0 else ("right", "left")
            for _ in range(steps):
                place += sign * width
                swing = dice.between(-0.1, 0.1)
                score.step(
                    lead, place + sign * 0.16, 0.0, tempo, 0.07,
                    pelvis=(place - sign * 0.4 * width, crouch - 0.03, -0.08),
                    hands=(guard[0], guard[1] + swing, guard[2]),
                )  # fmt: skip
                score.step(
                    trail, place - sign * 0.16, 0.0, tempo, 0.06, pelvis=(place, crouch, -0.08),
                    hands=guard, head=(0, dice.between(-0.3, 0.3), 0),
                )  # fmt: skip

    return repeat
