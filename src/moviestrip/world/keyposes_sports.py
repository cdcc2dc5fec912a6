"""Key postures of sports and exercise, named as Penn Action names them, and of kicking and throwing.

Everything is written for a right-handed person; left-handed ones are the mirror image. Directions follow
`posture`: hands are (outward, up, forward) from the shoulder in arms, feet and pelvis in legs.
"""

import math
from typing import Any

from moviestrip.world.dice import Dice, Repetition
from moviestrip.world.posture import Score

Posture = dict[str, Any]


def squats(dice: Dice, score: Score) -> Repetition:
    width, depth = dice.between(0.13, 0.34), dice.between(0.42, 0.72)
    toes, lean = dice.between(0.1, 0.6), dice.between(0.3, 0.7)
    arms = dice.one_of(("forward", "chest", "overhead", "behind_head", "hips"))
    top = {
        "forward": (0.15, -0.9, 0.15), "chest": (-0.2, -0.3, 0.45), "overhead": (0.12, 0.965, 0.06),
        "behind_head": (-0.05, 0.42, -0.06), "hips": (0.1, -0.7, 0.1),
    }[arms]  # fmt: skip
    low = (0.0, 0.02, 0.95) if arms == "forward" else top
    elbows = 0.6 if arms == "chest" else 0.9 if arms == "hips" else 0
    tempo = dice.between(0.7, 1.3)
    feet: Posture = {"left_foot": (width, 0, 0), "right_foot": (-width, 0, 0), "toes": (toes, 0)}
    score.start(**feet, knees=0.15, hands=top, elbows=elbows)

    def repeat() -> None:
        down = dice.about(depth, 0.04)
        score.key(
            dice.about(tempo), pelvis=(0, down, -0.45 * (1 - down)), lean=lean, spine=(0.25 * lean, 0, 0),
            head=(-0.5 * lean, 0, 0), hands=low, knees=0.35,
        )  # fmt: skip
        score.hold(dice.between(0.05, 0.3))
        score.key(
            dice.about(0.9 * tempo), pelvis=(0, 1, 0), lean=0.0, spine=(0, 0, 0), head=(0, 0, 0), hands=top, knees=0.15
        )
        score.hold(dice.between(0.1, 0.35))

    return repeat


def jumping_jacks(dice: Dice, score: Score) -> Repetition:
    width, tempo = dice.between(0.3, 0.5), dice.between(0.27, 0.42)
    half = dice.chance(0.35)
    up = (0.96, 0.2, 0.0) if half else (0.14, 0.975, 0.02)
    down = (0.2, -0.96, 0.04)
    air = dice.between(0.05, 0.11)
    score.start(hands=down)

    def land(x: float, hands: tuple[float, float, float], after_s: float) -> None:
        score.key(after_s, left_foot=(x, 0, 0), right_foot=(-x, 0, 0), pelvis=(0, 0.97, 0), hands=hands, toes=(0.2, 0))
        score.passing(0.5, left_foot=((x + 0.24) / 2, air, 0), right_foot=(-(x + 0.24) / 2, air, 0))
        score.passing(0.5, pelvis=(0, 1.0 + air, 0), toes=(0.2, 0.5))
        if not half:
            score.passing(0.5, hands=(0.97, 0.05, 0.02))
        score.key(0.1, pelvis=(0, 0.93, -0.02))

    def repeat() -> None:
        land(dice.about(width, 0.05), up, dice.about(tempo, 0.05))
        land(0.11, down, dice.about(tempo, 0.05))

    return repeat


def jump_rope(dice: Dice, score: Score) -> Repetition:
    style = dice.one_of(("both", "run", "side", "scissors"))
    air, tempo = dice.between(0.05, 0.14), dice.between(0.36, 0.55)
    spread, low, ahead = dice.between(0.2, 0.6), dice.between(-0.75, -0.4), dice.between(0.1, 0.45)
    stance, lean, crouch = dice.between(0.06, 0.2), dice.between(0.0, 0.2), dice.between(0.86, 0.95)
    score.start(
        hands=(spread, low, ahead), elbows=dice.between(-0.2, 0.6), left_foot=(stance, 0, 0),
        right_foot=(-stance, 0, 0), pelvis=(0, 0.97, 0), lean=lean, spine=(0.5 * lean, 0, 0),
    )  # fmt: skip
    side, x = 1, 0.0

    def repeat() -> None:
        nonlocal side, x
        side, before = -side, x
        high = dice.about(air, 0.1)
        x = side * 0.12 if style == "side" else 0.0
        z = side * 0.14 if style == "scissors" else 0.0
        tuck = 0.24 if style == "run" else 0.0
        score.key(
            dice.about(0.7 * tempo, 0.03), pelvis=(x, 0.97, 0), toes=(0.12, 0), left_foot=(x + stance, 0, z),
            right_foot=(x - stance, 0, -z),
        )  # fmt: skip
        for part, (up, forward) in zip((0.25, 0.5, 0.75), ((0.08, 0), (0, 0.1), (-0.08, 0)), strict=True):
            score.passing(part, hands=(spread, low + up, ahead + forward))
        middle = (x + before) / 2
        left, right = (tuck, 0.0) if side > 0 else (0.0, tuck)
        score.passing(
            0.5, left_foot=(middle + stance, high + left, -left), right_foot=(middle - stance, high + right, -right),
            pelvis=(middle, 1.0 + high, 0), toes=(0.12, 0.45),
        )  # fmt: skip
        score.key(0.3 * tempo, pelvis=(x, crouch, -0.01))

    return repeat


def push_ups(dice: Dice, score: Score) -> Repetition:
    width, low = dice.between(0.22, 0.42), dice.between(0.17, 0.26)
    tempo, sag = dice.between(0.6, 1.1), dice.between(-0.02, 0.12)
    high, ahead = 0.4, dice.between(0.46, 0.54)

    def body(height: float) -> Posture:
        """Trunk and legs in one line from the toes."""
        lean = math.pi / 2 - math.asin(height - 0.14) + sag
        return {"pelvis": (0, height, -0.02), "lean": lean, "head": (-0.35, 0, 0)}

    holds: Posture = {"left_hold": (width, 0.085, ahead), "right_hold": (-width, 0.085, ahead), "holding": 1.0}
    feet: Posture = {"left_foot": (0.11, 0, -1.14), "right_foot": (-0.11, 0, -1.14), "toes": (0.0, 1.15)}
    score.start(**holds, **feet, **body(high), spine=(-sag, 0, 0), knees=0.0, elbows=0.35)

    def repeat() -> None:
        score.key(dice.about(tempo), **body(dice.about(low, 0.04)), elbows=0.9)
        score.hold(dice.between(0.02, 0.2))
        score.key(dice.about(0.8 * tempo), **body(high), elbows=0.35)
        score.hold(dice.between(0.05, 0.3))

    return repeat


def sit_ups(dice: Dice, score: Score) -> Repetition:
    feet_z, rise = dice.between(0.62, 0.8), dice.between(0.25, 0.75)
    arms = dice.one_of(("behind_head", "crossed", "forward"))
    hands = {"behind_head": (-0.12, 0.42, 0.0), "crossed": (-0.5, -0.12, 0.32), "forward": (0.0, -0.25, 0.85)}[arms]
    elbows = 0.7 if arms == "crossed" else 0.2
    tempo, twist = dice.between(0.8, 1.4), dice.one_of((0.0, 0.0, 0.45))
    feet: Posture = {"left_foot": (0.16, 0, feet_z), "right_foot": (-0.16, 0, feet_z)}
    lying: Posture = {"pelvis": (0, 0.045, 0), "lean": -1.5, "spine": (-0.02, 0, 0), "head": (0.1, 0, 0)}
    score.start(**feet, **lying, hands=hands, elbows=elbows, knees=0.12)
    side = 1.0

    def repeat() -> None:
        nonlocal side
        side = -side
        score.key(dice.about(0.45 * tempo), lean=-1.2, spine=(0.6, side * twist / 2, 0), head=(0.3, 0, 0))
        score.key(
            dice.about(0.6 * tempo), lean=-dice.about(rise, 0.1), spine=(0.75, side * twist, 0),
            pelvis=(0, 0.06, 0), head=(0.15, 0, 0),
        )  # fmt: skip
        score.hold(0.12)
        score.key(dice.about(0.6 * tempo), lean=-1.25, spine=(0.5, 0, 0), pelvis=(0, 0.045, 0), head=(0.3, 0, 0))
        score.key(dice.about(0.45 * tempo), **lying)
        score.hold(dice.between(0.05, 0.25))

    return repeat


def bench_press(dice: Dice, score: Score) -> Repetition:
    grip, bench = dice.between(0.2, 0.45), dice.between(0.36, 0.44)
    tempo, arch = dice.between(0.7, 1.2), dice.between(0.0, 0.18)
    feet_z, feet_x = dice.between(0.42, 0.58), dice.between(0.22, 0.36)
    feet: Posture = {"left_foot": (feet_x, 0, feet_z), "right_foot": (-feet_x, 0, feet_z), "toes": (0.35, 0)}
    top, low = (grip, 0.02, 0.95), (grip + 0.22, -0.3, 0.3)
    score.start(
        **feet, pelvis=(0, bench, 0), lean=-1.53, spine=(-arch, 0, 0), head=(0.1 + arch, 0, 0), knees=0.35, hands=top,
        elbows=0.5,
    )  # fmt: skip

    def repeat() -> None:
        score.key(dice.about(tempo), hands=low, elbows=0.55, spine=(-1.3 * arch, 0, 0))
        score.hold(dice.between(0.03, 0.2))
        score.key(dice.about(0.9 * tempo), hands=top, elbows=0.5, spine=(-arch, 0, 0))
        score.hold(dice.between(0.1, 0.4))

    return repeat


def pull_ups(dice: Dice, score: Score) -> Repetition:
    grip, bend = dice.between(0.2, 0.42), dice.between(0.0, 1.0)
    tempo, top = dice.between(0.8, 1.3), dice.between(1.5, 1.62)
    bar_y, hang = 2.38, 1.12
    holds: Posture = {"left_hold": (grip, bar_y, 0.1), "right_hold": (-grip, bar_y, 0.1), "holding": 1.0}
    cross = 0.06 if bend > 0.4 else 0.09

    def body(height: float, sway: float, kick: float) -> dict[str, tuple[float, ...]]:
        drop, back = 0.97 - 0.35 * bend - 0.12 * kick, -0.42 * bend + 0.2 * kick
        return {
            "pelvis": (0, height, sway),
            "left_foot": (cross, height - drop, sway + back - 0.03),
            "right_foot": (-cross, height - drop + 0.02, sway + back),
            "toes": (0.0, 0.5 + 0.5 * bend),
        }

    score.start(**holds, **body(hang, 0, 0), hands=(0.1, 0.95, 0.1), knees=0.1)

    def repeat() -> None:
        kick = dice.between(0, 0.5)
        score.key(
            dice.about(tempo), **body(dice.about(top, 0.01), -0.08, kick), lean=-0.12, spine=(-0.1, 0, 0),
            head=(-0.25, 0, 0), elbows=0.25,
        )  # fmt: skip
        score.hold(dice.between(0.05, 0.25))
        score.key(dice.about(tempo), **body(hang, 0.02, 0), lean=0.0, spine=(0, 0, 0), head=(-0.1, 0, 0), elbows=0.0)
        score.hold(dice.between(0.1, 0.4))

    return repeat


def clean_and_jerk(dice: Dice, score: Score) -> Repetition:
    grip, split = dice.between(0.05, 0.28), dice.between(0.22, 0.4)
    low, catch = dice.between(0.5, 0.64), dice.between(0.55, 0.85)
    tempo = dice.between(0.8, 1.2)
    floor: Posture = {"pelvis": (0, low, -0.28), "lean": 0.85, "spine": (0.15, 0, 0), "head": (-0.6, 0, 0)}
    bar_low, rack, over = (grip, -0.95, 0.25), (grip, 0.08, 0.22), (grip + 0.08, 0.965, 0.02)
    stand: Posture = {"pelvis": (0, 0.98, 0), "lean": 0.0, "spine": (0, 0, 0), "head": (0, 0, 0)}
    score.start(**floor, left_foot=(0.15, 0, 0), right_foot=(-0.15, 0, 0), knees=0.35, hands=bar_low)

    def repeat() -> None:
        score.hold(dice.between(0.1, 0.3))
        score.key(0.7 * tempo, pelvis=(0, 0.86, -0.22), lean=0.75, hands=(grip, -0.96, 0.1))
        score.key(0.22, pelvis=(0, 1.0, 0.02), lean=-0.1, spine=(-0.05, 0, 0), head=(0, 0, 0), hands=(grip, -0.6, 0.12))
        score.key(0.3, pelvis=(0, catch, -0.12), lean=0.2, hands=rack, elbows=-0.7)
        score.key(0.6 * tempo, **stand)
        score.hold(dice.between(0.2, 0.5))
        score.key(0.25, pelvis=(0, 0.88, 0))
        score.step(
            "left", 0.14, split, 0.28, 0.07, right_foot=(-0.14, 0, 0), hands=over, pelvis=(0, 0.84, 0.02), elbows=0.0
        )
        score.key(0.3).step("left", 0.14, 0.0, 0.45, 0.05, pelvis=(0, 0.98, 0))
        score.hold(dice.between(0.2, 0.5))
        score.key(0.45, hands=rack, elbows=-0.7, pelvis=(0, 0.95, 0))
        score.key(0.45, hands=(grip, -0.75, 0.2), elbows=0.0)
        score.key(0.6 * tempo, **floor, hands=bar_low)

    return repeat


def strum_guitar(dice: Dice, score: Score) -> Repetition:
    sway, strum = dice.between(0.0, 0.05), dice.between(0.12, 0.26)
    tempo, lean = dice.between(0.18, 0.34), dice.between(-0.05, 0.2)
    neck_y, neck_out = dice.between(-0.45, -0.1), dice.between(0.15, 0.45)
    seated = dice.chance(0.35)
    body = {"pelvis": (0, 0.98, 0), "left_foot": (0.16, 0, 0.05), "right_foot": (-0.16, 0, -0.03)}
    if seated:
        body = {"pelvis": (0, 0.5, -0.4), "left_foot": (0.18, 0, 0.12), "right_foot": (-0.16, 0, 0.02)}
    score.start(
        **body, lean=lean, spine=(0.12, 0, 0), head=(0.35, 0.15, 0), left_hand=(neck_out, neck_y, 0.55),
        right_hand=(-0.2, -0.58, 0.42), right_elbow=0.7, left_elbow=0.15,
    )  # fmt: skip
    beat = 0

    def repeat() -> None:
        nonlocal beat
        beat += 1
        lower = dice.about(strum, 0.2)
        chord = dice.between(-0.06, 0.1) if beat % 4 == 0 else 0.0
        side = 1 if beat % 4 < 2 else -1
        body_x, body_y, body_z = body["pelvis"]
        score.key(
            dice.about(tempo), right_hand=(-0.18, -0.58 - lower, 0.4), pelvis=(body_x + side * sway, body_y, body_z),
            left_hand=(neck_out + chord, neck_y + 0.3 * chord, 0.55), head=(0.3 + 0.12 * (beat % 2), 0.15, 0),
        )  # fmt: skip
        score.key(dice.about(tempo), right_hand=(-0.24, -0.5 + 0.2 * lower, 0.44))

    return repeat


def golf_swing(dice: Dice, score: Score) -> Repetition:
    width, lean = dice.between(0.18, 0.3), dice.between(0.35, 0.6)
    back, through = dice.between(0.6, 1.1), dice.between(0.8, 1.3)
    top_up, full = dice.between(0.1, 0.6), dice.chance(0.75)
    tempo = dice.between(0.85, 1.2)
    address: Posture = {
        "pelvis": (0, 0.93, -0.08), "lean": lean, "spine": (0.25, 0, 0), "turn": 0.0, "head": (0.2, 0, 0),
        "left_hand": (-0.42, -0.75, 0.42), "right_hand": (-0.36, -0.8, 0.4), "elbows": 0.1,
        "toes": (0.2, 0), "knees": 0.15,
    }  # fmt: skip
    score.start(**address, left_foot=(width, 0, 0), right_foot=(-width, 0, 0))

    def repeat() -> None:
        for _ in range(dice.one_of((0, 1, 2))):
            score.key(0.3, left_hand=(-0.5, -0.72, 0.42), right_hand=(-0.28, -0.78, 0.4), spine=(0.25, -0.1, 0))
            score.key(0.3, **address)
        score.hold(dice.between(0.2, 0.5))
        turn = dice.about(back, 0.06)
        score.key(
            0.75 * tempo, turn=-0.35 * turn, spine=(0.2, -0.75 * turn, 0.0), head=(0.2, 0.6 * turn, 0),
            pelvis=(-0.05, 0.93, -0.07), left_hand=(-0.7, top_up, 0.45), right_hand=(0.12, top_up + 0.1, 0.25),
            right_elbow=0.3, left_toes=(0.1, 0.2),
        )  # fmt: skip
        score.key(
            0.3 * tempo, turn=0.3, spine=(0.3, 0.0, 0.12), head=(0.25, -0.1, 0), pelvis=(0.06, 0.94, -0.05),
            left_hand=(-0.35, -0.82, 0.4), right_hand=(-0.42, -0.75, 0.42), left_toes=(0.2, 0), right_toes=(0.1, 0.25),
        )  # fmt: skip
        lift = 1.0 if full else 0.55
        score.key(
            0.35 * tempo, turn=0.8 * through, spine=(-0.05, 0.45 * through, 0.1), lean=0.1, head=(0.0, 0.1, 0),
            pelvis=(0.13, 0.98, 0.0), left_hand=(0.1, 0.45 * lift, 0.35), right_hand=(-0.62, 0.3 * lift, 0.5),
            left_elbow=0.2, right_toes=(-0.45, 0.95), knees=0.1,
        )  # fmt: skip
        score.hold(dice.between(0.3, 0.7))
        score.key(0.9, **address)

    return repeat


def baseball_swing(dice: Dice, score: Score) -> Repetition:
    stride, load = dice.between(0.12, 0.32), dice.between(0.15, 0.4)
    level, tempo = dice.between(-0.2, 0.15), dice.between(0.9, 1.2)
    crouch = dice.between(0.84, 0.95)
    stance: Posture = {
        "turn": -1.45, "pelvis": (0, crouch, -0.05), "lean": 0.18, "spine": (0.1, 0, 0), "head": (0.0, 1.1, 0),
        "left_hand": (-0.72, 0.02, 0.28), "right_hand": (0.0, 0.08, 0.28), "left_elbow": 0.3, "right_elbow": 0.9,
        "left_toes": (-1.2, 0), "right_toes": (1.45, 0), "knees": 0.2,
    }  # fmt: skip
    score.start(**stance, left_foot=(0.0, 0, 0.24), right_foot=(0.02, 0, -0.28))

    def repeat() -> None:
        for _ in range(dice.one_of((0, 1))):
            score.key(0.35, left_hand=(-0.68, 0.08, 0.3), right_hand=(0.02, 0.16, 0.28)).key(0.35, **stance)
        score.hold(dice.between(0.15, 0.5))
        score.step(
            "left", 0.0, 0.24 + stride, 0.42 * tempo, 0.12, pelvis=(0, crouch, 0.02), turn=-1.6,
            spine=(0.1, -load, 0), left_hand=(-0.78, 0.0, 0.2), right_hand=(0.12, 0.12, 0.1), head=(0, 1.2, 0),
            left_toes=(-0.9, 0),
        )  # fmt: skip
        score.key(
            0.16 * tempo, turn=-0.35, spine=(0.15, 0.1, 0), pelvis=(0, crouch - 0.03, 0.1), head=(0.1, 0.4, 0),
            left_hand=(-0.15, level - 0.2, 0.85), right_hand=(-0.3, level - 0.3, 0.72), right_elbow=0.2,
            right_toes=(0.6, 0.5),
        )  # fmt: skip
        score.key(
            0.16 * tempo, turn=0.05, spine=(0.05, 0.5, 0), head=(0.1, -0.2, 0), left_hand=(0.45, level, 0.6),
            right_hand=(-0.65, level + 0.05, 0.6), left_elbow=0.4,
        )  # fmt: skip
        score.key(
            0.25 * tempo, turn=0.3, spine=(0.0, 0.75, 0), left_hand=(0.35, 0.25, 0.15), right_hand=(-0.85, 0.2, 0.2),
            right_toes=(0.2, 0.9),
        )  # fmt: skip
        score.hold(dice.between(0.2, 0.5))
        score.step("left", 0.0, 0.24, 0.8, 0.08, **stance)

    return repeat


def baseball_pitch(dice: Dice, score: Score) -> Repetition:
    stride, knee = dice.between(0.6, 0.85), dice.between(0.3, 0.62)
    slot, tempo = dice.between(0.15, 0.75), dice.between(0.9, 1.25)
    bow = dice.between(0.45, 0.85)
    ready: Posture = {
        "turn": -1.4, "pelvis": (0, 0.98, 0), "lean": 0.05, "spine": (0.05, 0, 0), "head": (0.05, 1.1, 0),
        "hands": (-0.32, -0.3, 0.42), "elbows": 0.25, "left_toes": (-1.2, 0), "right_toes": (1.4, 0), "knees": 0.1,
    }  # fmt: skip
    score.start(**ready, left_foot=(0.0, 0, 0.16), right_foot=(0.0, 0, -0.12))

    def repeat() -> None:
        score.hold(dice.between(0.2, 0.6))
        score.key(
            0.6 * tempo, left_foot=(-0.28, knee, 0.1), left_toes=(-1.3, 0.3), pelvis=(0, 0.98, -0.12), turn=-1.6,
            hands=(-0.32, -0.1, 0.42), spine=(0.2, 0, 0),
        )  # fmt: skip
        score.key(
            0.5 * tempo, left_foot=(0.02, 0, 0.1 + stride), left_toes=(-0.3, 0), pelvis=(0, 0.84, 0.22), turn=-1.1,
            spine=(0.0, -0.2, 0), right_hand=(0.75, 0.15, -0.35), left_hand=(0.85, 0.1, 0.25), lean=0.0,
            right_elbow=0.4, head=(0, 0.9, 0),
        )  # fmt: skip
        score.passing(0.5, left_foot=(-0.12, 0.12, 0.3 * stride + 0.1))
        score.key(
            0.16, turn=-0.25, spine=(-0.15, 0.15, 0), right_hand=(0.6, slot, -0.1), left_hand=(0.35, -0.1, 0.5),
            pelvis=(0, 0.82, 0.36), head=(0, 0.1, 0), right_toes=(0.7, 0.6),
        )  # fmt: skip
        score.key(
            0.14, turn=0.15, spine=(0.35, 0.35, -0.1), lean=0.35, right_hand=(0.15, 0.4 * slot, 0.85),
            left_hand=(0.2, -0.4, 0.1), pelvis=(0, 0.8, 0.45),
        )  # fmt: skip
        score.step(
            "right", -0.22, stride - 0.05, 0.42, 0.2, turn=0.35, spine=(0.5 * bow, 0.5, 0), lean=0.6 * bow,
            right_hand=(-0.55, -0.75, 0.35), pelvis=(-0.05, 0.84, 0.55), head=(-0.4, -0.2, 0), right_toes=(0.1, 0),
        )  # fmt: skip
        score.hold(0.25)
        score.step("right", 0.0, -0.12, 0.8, 0.1, **{**ready, "pelvis": (0, 0.9, 0.2)})
        score.step("left", 0.0, 0.16, 0.6, 0.08, **ready)

    return repeat


def bowl(dice: Dice, score: Score) -> Repetition:
    stride, low = dice.between(0.5, 0.75), dice.between(0.6, 0.78)
    back, tempo = dice.between(0.45, 0.85), dice.between(0.9, 1.25)
    ready: Posture = {
        "pelvis": (0, 0.95, 0), "lean": 0.15, "spine": (0.15, 0, 0), "head": (0, 0, 0), "turn": 0.0,
        "right_hand": (-0.15, -0.35, 0.45), "left_hand": (-0.3, -0.38, 0.45), "elbows": 0.15, "toes": (0.1, 0),
    }  # fmt: skip
    score.start(**ready, left_foot=(0.1, 0, 0), right_foot=(-0.1, 0, 0))

    def repeat() -> None:
        score.hold(dice.between(0.2, 0.5))
        score.step(
            "right", -0.1, 0.3, 0.45 * tempo, 0.06, pelvis=(0, 0.94, 0.12), right_hand=(0.05, -0.85, 0.35),
            left_hand=(0.3, -0.6, 0.3),
        )  # fmt: skip
        score.step(
            "left", 0.08, 0.3 + stride, 0.5 * tempo, 0.06, pelvis=(0, 0.82, 0.5), lean=0.5,
            right_hand=(0.2, -0.7, -back), left_hand=(0.85, -0.2, 0.2), spine=(0.2, -0.35, 0), right_toes=(0.1, 0.5),
        )  # fmt: skip
        score.key(
            0.3 * tempo, pelvis=(0.02, low, 0.78), lean=0.75, right_hand=(0.05, -0.95, 0.2), spine=(0.25, 0.1, 0),
            head=(-0.6, 0, 0), right_foot=(0.1, 0.03, -0.02), right_toes=(0.1, 1.0), left_hand=(0.9, 0.0, -0.1),
        )  # fmt: skip
        score.key(
            0.32 * tempo, pelvis=(0.02, low + 0.05, 0.82), lean=0.55, right_hand=(-0.15, 0.35, 0.8), head=(-0.4, 0, 0),
            spine=(0.15, 0.25, 0), right_foot=(0.24, 0.1, 0.05),
        )  # fmt: skip
        score.hold(dice.between(0.3, 0.6))
        score.step("right", -0.12, 0.3, 0.7, 0.08, **{**ready, "pelvis": (0, 0.93, 0.45)})
        score.step("left", 0.1, 0.0, 0.6, 0.06, pelvis=(0, 0.95, 0.15))
        score.step("right", -0.1, 0.0, 0.5, 0.06, pelvis=(0, 0.95, 0.0))

    return repeat


def tennis_forehand(dice: Dice, score: Score) -> Repetition:
    step_z, turn = dice.between(0.25, 0.5), dice.between(0.7, 1.1)
    low, high = dice.between(-0.6, -0.2), dice.between(0.1, 0.5)
    tempo, crouch = dice.between(0.9, 1.25), dice.between(0.82, 0.92)
    ready: Posture = {
        "pelvis": (0, crouch, -0.05), "lean": 0.25, "spine": (0.15, 0, 0), "turn": 0.0, "head": (-0.15, 0, 0),
        "right_hand": (-0.15, -0.35, 0.6), "left_hand": (-0.3, -0.25, 0.62), "elbows": 0.2, "toes": (0.25, 0),
        "knees": 0.3,
    }  # fmt: skip
    score.start(**ready, left_foot=(0.26, 0, 0), right_foot=(-0.26, 0, 0))

    def repeat() -> None:
        score.key(0.2, pelvis=(0, crouch - 0.05, -0.05)).key(0.2, pelvis=(0, crouch, -0.05))
        score.key(
            0.45 * tempo, turn=-0.6 * turn, spine=(0.1, -0.7 * turn, 0), head=(-0.1, turn, 0),
            pelvis=(-0.1, crouch, -0.05),
            right_hand=(0.75, -0.05, -0.3), left_hand=(-0.15, -0.05, 0.8), right_toes=(0.9, 0), right_elbow=0.3,
        )  # fmt: skip
        score.step(
            "left", 0.12, step_z, 0.3 * tempo, 0.08, right_hand=(0.55, low, -0.35), left_toes=(-0.2, 0),
            pelvis=(-0.05, crouch - 0.04, 0.1),
        )  # fmt: skip
        score.key(
            0.18 * tempo, turn=0.0, spine=(0.1, 0.1, 0), head=(0, 0.1, 0), right_hand=(0.35, -0.25, 0.75),
            left_hand=(0.4, -0.1, 0.3), pelvis=(0.02, crouch, 0.18), right_toes=(0.5, 0.5),
        )  # fmt: skip
        score.key(
            0.3 * tempo, turn=0.45, spine=(0.05, 0.6, 0), right_hand=(-0.75, high, 0.35), left_hand=(0.3, -0.1, 0.15),
            head=(0, -0.3, 0), right_elbow=0.6, right_toes=(0.2, 0.9), pelvis=(0.06, crouch + 0.05, 0.2),
        )  # fmt: skip
        score.hold(dice.between(0.1, 0.3))
        score.step("left", 0.26, 0.0, 0.6, 0.06, **ready)

    return repeat


def tennis_serve(dice: Dice, score: Score) -> Repetition:
    bend, arch = dice.between(0.82, 0.93), dice.between(0.1, 0.35)
    hop, tempo = dice.between(0.0, 0.12), dice.between(0.9, 1.2)
    toss = dice.between(0.85, 0.95)
    ready: Posture = {
        "turn": -1.1, "pelvis": (0, 0.98, 0), "lean": 0.05, "spine": (0.05, 0, 0), "head": (0, 0.8, 0),
        "right_hand": (-0.2, -0.45, 0.5), "left_hand": (-0.25, -0.45, 0.55), "elbows": 0.1,
        "left_toes": (-0.8, 0), "right_toes": (1.35, 0), "knees": 0.1,
    }  # fmt: skip
    score.start(**ready, left_foot=(0.0, 0, 0.2), right_foot=(-0.05, 0, -0.18))

    def repeat() -> None:
        score.hold(dice.between(0.2, 0.5))
        score.key(0.45 * tempo, left_hand=(0.05, -0.9, 0.25), right_hand=(0.25, -0.85, 0.05), lean=0.12)
        score.key(
            0.6 * tempo, left_hand=(0.25, toss, 0.2), right_hand=(0.75, 0.1, -0.3), right_elbow=0.4, lean=-arch / 2,
            spine=(-arch, -0.25, 0), head=(-0.5, 0.6, 0), pelvis=(0, bend, 0.08),
        )  # fmt: skip
        score.key(
            0.28 * tempo, right_hand=(0.35, 0.32, -0.3), left_hand=(0.3, 0.5, 0.4), turn=-0.7, pelvis=(0, bend, 0.12),
        )  # fmt: skip
        score.key(
            0.2, turn=0.0, spine=(0.05, 0.2, -0.15), lean=0.1, right_hand=(0.1, 0.93, 0.25),
            left_hand=(-0.2, -0.3, 0.4),
            pelvis=(0, 1.0 + hop, 0.24), left_foot=(0.0, hop, 0.24), right_foot=(-0.05, hop, -0.1), toes=(0.3, 0.7),
            head=(-0.3, 0, 0), elbows=0.0,
        )  # fmt: skip
        score.key(
            0.35 * tempo, turn=0.3, spine=(0.4, 0.45, 0), lean=0.4, right_hand=(-0.6, -0.6, 0.4),
            left_hand=(-0.1, -0.4, 0.35), pelvis=(0, 0.86, 0.42), left_foot=(0.05, 0, 0.42), left_toes=(-0.1, 0),
            right_foot=(-0.12, 0.3, -0.1), right_toes=(0.1, 0.9), head=(-0.2, 0, 0),
        )  # fmt: skip
        score.step("right", -0.2, 0.7, 0.35, 0.12, pelvis=(-0.05, 0.92, 0.56), right_toes=(0.1, 0), lean=0.2)
        score.hold(0.2)
        score.step("right", -0.05, -0.18, 0.8, 0.08, **{**ready, "pelvis": (0, 0.92, 0.12)})
        score.step("left", 0.0, 0.2, 0.5, 0.06, **ready)

    return repeat


def kick(dice: Dice, score: Score) -> Repetition:
    height, back = dice.between(0.35, 0.95), dice.between(0.3, 0.55)
    sideways, tempo = dice.one_of((0.0, 0.0, 0.45)), dice.between(0.9, 1.3)
    guard = dice.chance(0.4)
    hands = (-0.1, 0.02, 0.42) if guard else (0.27, -0.93, 0.1)
    stand: Posture = {
        "pelvis": (0, 0.97, 0),
        "lean": 0.05,
        "spine": (0.05, 0, 0),
        "turn": 0.0,
        "hands": hands,
        "toes": (0.15, 0),
    }
    score.start(**stand, left_foot=(0.1, 0, 0.12), right_foot=(-0.12, 0, -0.15), elbows=0.2)

    def repeat() -> None:
        rise = min(0.95, dice.about(height, 0.08))
        reach = math.sqrt(0.95**2 - (0.95 - rise) ** 2 - sideways**2)
        score.hold(dice.between(0.15, 0.4))
        score.key(
            0.35 * tempo, right_foot=(-0.14, 0.32, -back), right_toes=(0.1, 0.9), pelvis=(0.07, 0.95, 0.02), lean=0.15,
            left_hand=(0.35, -0.3, 0.6) if not guard else hands, right_hand=(0.5, -0.6, -0.35) if not guard else hands,
        )  # fmt: skip
        score.key(
            0.2 * tempo, right_foot=(-0.1 - sideways, rise, 0.08 + reach), right_toes=(0.1, 0.45), turn=0.25 + sideways,
            lean=-0.3 * rise - 0.05, spine=(0.25, -0.35, 0), pelvis=(0.08, 0.97, 0.08),
            right_hand=(0.4, -0.7, -0.3) if not guard else hands, left_hand=(0.2, -0.45, 0.6) if not guard else hands,
        )  # fmt: skip
        score.key(0.25 * tempo, right_foot=(-0.12, 0.4, 0.3), lean=0.0, turn=0.1, right_toes=(0.1, 0.6))
        score.key(0.45 * tempo, **stand, right_foot=(-0.12, 0, -0.15))

    return repeat


def throw(dice: Dice, score: Score) -> Repetition:
    style = dice.one_of(("overarm", "underarm", "chest_pass", "overhead"))
    stride, tempo = dice.between(0.25, 0.5), dice.between(0.9, 1.3)
    effort = dice.between(0.6, 1.0)
    wind: Posture = {
        "overarm": {"right_hand": (0.5, 0.3, -0.25), "left_hand": (0.3, 0.0, 0.75)},
        "underarm": {"right_hand": (0.15, -0.75, -0.6), "left_hand": (0.3, -0.5, 0.5)},
        "chest_pass": {"hands": (-0.1, -0.25, 0.32)},
        "overhead": {"hands": (-0.12, 0.5, -0.12)},
    }[style]  # fmt: skip
    release: Posture = {
        "overarm": {"right_hand": (0.05, 0.25, 0.9), "left_hand": (0.2, -0.6, 0.15)},
        "underarm": {"right_hand": (0.05, -0.2, 0.92), "left_hand": (0.4, -0.6, 0.0)},
        "chest_pass": {"hands": (-0.1, 0.0, 0.95)},
        "overhead": {"hands": (-0.1, 0.45, 0.8)},
    }[style]  # fmt: skip
    twist = 0.7 * effort if style in ("overarm", "underarm") else 0.0
    ready: Posture = {
        "pelvis": (0, 0.96, 0), "lean": 0.08, "spine": (0.05, 0, 0), "turn": 0.0, "hands": (-0.2, -0.4, 0.5),
        "elbows": 0.2, "toes": (0.15, 0),
    }  # fmt: skip
    score.start(**ready, left_foot=(0.13, 0, 0), right_foot=(-0.14, 0, -0.1))

    def repeat() -> None:
        score.hold(dice.between(0.15, 0.5))
        score.key(
            0.5 * tempo, **wind, turn=-0.6 * twist, spine=(-0.2 * effort, -0.6 * twist, 0), pelvis=(-0.04, 0.93, -0.06),
            lean=-0.05,
        )  # fmt: skip
        score.step("left", 0.12, stride, 0.28 * tempo, 0.08, pelvis=(0, 0.9, 0.1), turn=-0.4 * twist)
        score.key(
            0.2 * tempo, **release, turn=0.2 * twist, spine=(0.3 * effort, 0.4 * twist, 0), lean=0.2 * effort,
            pelvis=(0, 0.9, 0.2), right_toes=(0.15, 0.5),
        )  # fmt: skip
        score.key(
            0.3 * tempo, spine=(0.4 * effort, 0.6 * twist, 0), lean=0.3 * effort, right_toes=(0.15, 0.7),
            right_hand=(-0.4, -0.5, 0.6) if style == "overarm" else release.get("right_hand", (0.0, -0.2, 0.85)),
        )  # fmt: skip
        score.step("left", 0.13, 0.0, 0.7, 0.06, **ready)

    return repeat
