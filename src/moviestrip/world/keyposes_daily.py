"""Key postures of everyday actions, named as Human3.6M names them, and of bowing, reaching, lunging and turning.

Conventions as in `keyposes_sports`.
"""

import math
from typing import Any

from moviestrip.world.dice import Dice, Repetition
from moviestrip.world.posture import Score

HANGING = (0.17, -0.965, 0.06)
Posture = dict[str, Any]


def _standing(dice: Dice) -> Posture:
    """A way to stand: stance, weight, and where it looks."""
    width, stagger = dice.between(0.09, 0.2), dice.between(-0.12, 0.12)
    weight = dice.between(-0.06, 0.06)
    return {
        "pelvis": (weight, 0.985, 0.0), "tilt": 0.8 * weight, "lean": dice.between(-0.03, 0.06),
        "spine": (dice.between(-0.02, 0.12), dice.between(-0.1, 0.1), 0.0),
        "head": (dice.between(-0.05, 0.15), 0.0, 0.0),
        "left_foot": (width, 0, stagger), "right_foot": (-width, 0, -stagger), "toes": (dice.between(0.08, 0.35), 0),
        "knees": dice.between(0.05, 0.2),
    }  # fmt: skip


def _seated(dice: Dice, depth: float | None = None) -> Posture:
    """A way to sit on a chair whose seat is about knee high."""
    height = dice.between(0.5, 0.58) if depth is None else depth
    reach, width = dice.between(-0.02, 0.2), dice.between(0.1, 0.22)
    return {
        "pelvis": (0, height, -0.48), "lean": dice.between(-0.25, 0.15), "spine": (dice.between(0.05, 0.3), 0, 0),
        "head": (dice.between(-0.1, 0.15), 0, 0), "left_foot": (width, 0, reach),
        "right_foot": (-width, 0, dice.between(-0.02, 0.2)), "toes": (dice.between(0.05, 0.3), 0),
        "knees": dice.between(0.05, 0.25),
    }  # fmt: skip


def _rest_hands(dice: Dice, seated: bool) -> tuple[float, float, float]:
    if seated:
        return (dice.between(-0.15, 0.08), dice.between(-0.78, -0.65), dice.between(0.45, 0.6))
    return dice.one_of((HANGING, (0.12, -0.9, 0.2), (0.05, -0.68, 0.12), (-0.2, -0.62, 0.32)))


def _settle_down(dice: Dice, score: Score, seated_chance: float) -> bool:
    seated = dice.chance(seated_chance)
    score.start(**(_seated(dice) if seated else _standing(dice)))
    hands = _rest_hands(dice, seated)
    akimbo = not seated and hands == (0.05, -0.68, 0.12)
    score.start(hands=hands, elbows=1.0 if akimbo else 0.1)
    return seated


def _shift_weight(dice: Dice, score: Score, after_s: float, **changes: Any) -> None:
    """A key in which the hips also move a little over feet that stay."""
    pelvis = score.now("pelvis")
    pelvis[0] += dice.between(-0.05, 0.05) - 0.4 * pelvis[0]
    turn = dice.between(-0.12, 0.12)
    score.key(after_s, pelvis=pelvis, turn=turn, **changes)


def directions(dice: Dice, score: Score) -> Repetition:
    _settle_down(dice, score, 0.15)
    spread, both = dice.between(0.2, 0.9), dice.chance(0.25)
    rest = tuple(score.now("right_hand"))

    def repeat() -> None:
        side = dice.one_of(("left", "right"))
        outward, up = dice.between(-0.4, spread), dice.between(-0.15, 0.45)
        forward = math.sqrt(max(0.1, 0.9 - outward**2 - up**2))
        sign = 1 if side == "left" else -1
        look = (dice.between(-0.1, 0.1), sign * 0.6 * outward + 0.1, 0)
        changes: Posture = {f"{side}_hand": (outward, up, forward), f"{side}_elbow": 0.2}
        if both:
            changes["hands"] = (outward, up, forward)
        _shift_weight(dice, score, dice.between(0.4, 0.7), **changes, head=look, spine=(0.05, sign * 0.35 * outward, 0))
        for _ in range(dice.one_of((1, 2, 3))):
            score.key(0.22, **{f"{side}_hand": (outward, up - 0.12, forward)})
            score.key(0.22, **{f"{side}_hand": (outward, up, forward)})
        score.hold(dice.between(0.1, 0.5))
        _shift_weight(dice, score, dice.between(0.4, 0.8), hands=rest, head=(0, 0, 0), spine=(0.05, 0, 0), elbows=0.1)
        score.hold(dice.between(0.05, 0.3))

    return repeat


def discussion(dice: Dice, score: Score) -> Repetition:
    _settle_down(dice, score, 0.25)
    size, high = dice.between(0.5, 1.2), dice.between(-0.55, -0.2)

    def repeat() -> None:
        for _ in range(dice.one_of((2, 3, 4))):
            left = (dice.between(-0.15, 0.35) * size, high + 0.25 * dice.between(-1, 1) * size, dice.between(0.4, 0.7))
            right = (dice.between(-0.15, 0.35) * size, high + 0.25 * dice.between(-1, 1) * size, dice.between(0.4, 0.7))
            _shift_weight(
                dice, score, dice.between(0.25, 0.55), left_hand=left, right_hand=right,
                elbows=dice.between(0, 0.4), head=(dice.between(-0.15, 0.25), dice.between(-0.4, 0.4), 0),
                spine=(dice.between(0, 0.18), dice.between(-0.15, 0.15), 0),
            )  # fmt: skip
        if dice.chance(0.4):
            _shift_weight(dice, score, 0.6, hands=(0.05, -0.75, 0.3), head=(0.05, dice.between(-0.5, 0.5), 0))
            score.hold(dice.between(0.2, 0.6))

    return repeat


def eating(dice: Dice, score: Score) -> Repetition:
    seated = _settle_down(dice, score, 0.6)
    mouth = (-0.3, 0.18, 0.38)
    plate = (dice.between(-0.25, -0.05), dice.between(-0.6, -0.45), dice.between(0.5, 0.65))
    score.start(left_hand=(-0.2, -0.52, 0.5), right_hand=plate, elbows=0.15)
    bow = dice.between(0.05, 0.3) if seated else dice.between(0, 0.1)

    def repeat() -> None:
        score.key(dice.about(0.45, 0.2), right_hand=(plate[0] - 0.05, plate[1] - 0.03, plate[2]), head=(0.35, 0, 0))
        score.key(dice.about(0.6, 0.2), right_hand=mouth, right_elbow=0.45, head=(0.12, 0, 0), spine=(bow + 0.1, 0, 0))
        score.hold(dice.between(0.1, 0.35))
        left = (dice.between(-0.3, -0.1), dice.between(-0.58, -0.4), 0.5)
        score.key(
            dice.about(0.55, 0.2), right_hand=plate, right_elbow=0.15, left_hand=left,
            head=(0.15, dice.between(-0.4, 0.4), 0), spine=(bow, 0, 0),
        )  # fmt: skip
        score.hold(dice.between(0.1, 0.6))

    return repeat


def greeting(dice: Dice, score: Score) -> Repetition:
    _settle_down(dice, score, 0.0)
    style = dice.one_of(("wave", "bow", "handshake", "big_wave"))
    rest = tuple(score.now("right_hand"))
    depth = dice.between(0.3, 0.9)

    def wave() -> None:
        up = 0.85 if style == "big_wave" else 0.45
        out = 0.15 if style == "big_wave" else 0.4
        score.key(0.5, right_hand=(out, up, 0.25), head=(-0.05, -0.1, 0), right_elbow=0.1)
        for _ in range(dice.one_of((2, 3, 4))):
            score.key(0.2, right_hand=(out + 0.28, up - 0.05, 0.22)).key(0.2, right_hand=(out - 0.15, up + 0.02, 0.25))
        score.key(0.6, right_hand=rest, head=(0, 0, 0))

    def bow() -> None:
        score.key(0.7, lean=0.55 * depth, spine=(0.6 * depth, 0, 0), pelvis=(0, 0.98, -0.1 * depth), head=(0.2, 0, 0))
        score.hold(dice.between(0.15, 0.5))
        score.key(0.7, lean=0.0, spine=(0.05, 0, 0), pelvis=(0, 0.985, 0), head=(0, 0, 0))

    def handshake() -> None:
        score.step("right", -0.12, 0.3, 0.5, 0.06, pelvis=(0, 0.97, 0.14), right_hand=(-0.1, -0.35, 0.75), lean=0.12)
        for _ in range(dice.one_of((2, 3))):
            score.key(0.14, right_hand=(-0.1, -0.25, 0.75)).key(0.14, right_hand=(-0.1, -0.42, 0.75))
        score.step("right", -0.13, 0.0, 0.6, 0.06, pelvis=(0, 0.985, 0), right_hand=rest, lean=0.0)

    action = {"wave": wave, "big_wave": wave, "bow": bow, "handshake": handshake}[style]

    def repeat() -> None:
        score.hold(dice.between(0.1, 0.5))
        action()
        score.hold(dice.between(0.1, 0.4))

    return repeat


def phoning(dice: Dice, score: Score) -> Repetition:
    seated = _settle_down(dice, score, 0.35)
    ear = (-0.2, 0.17, 0.26)
    score.start(right_hand=ear, right_elbow=dice.between(0.0, 0.45), head=(0.08, 0.1, 0.15))
    gestures, wander = dice.between(0.2, 1.0), dice.between(0.2, 0.7)
    rest = tuple(score.now("left_hand"))

    def repeat() -> None:
        for _ in range(dice.one_of((1, 2, 3))):
            left = (dice.between(-0.2, 0.4), dice.between(-0.7, -0.25), dice.between(0.35, 0.65))
            chosen = left if dice.chance(gestures) else rest
            _shift_weight(
                dice, score, dice.between(0.4, 0.9), left_hand=chosen, right_hand=ear,
                head=(dice.between(-0.1, 0.3), dice.between(-wander, wander), 0.15),
                spine=(dice.between(0.0, 0.2), 0.4 * dice.between(-wander, wander), 0),
            )  # fmt: skip
        if not seated and dice.chance(0.5):
            foot = dice.one_of(("left", "right"))
            sign = 1 if foot == "left" else -1
            score.step(foot, sign * dice.between(0.1, 0.2), dice.between(-0.12, 0.12), 0.45, 0.06)
        _shift_weight(dice, score, 0.7, left_hand=rest)

    return repeat


def posing(dice: Dice, score: Score) -> Repetition:
    score.start(**_standing(dice))

    def pose() -> Posture:
        left, right = (
            dice.one_of(
                (
                    (0.05, -0.66, 0.1),
                    (0.12, 0.97, 0.05),
                    (0.7, 0.35, 0.2),
                    (-0.12, 0.4, -0.02),
                    (-0.5, -0.3, 0.35),
                    HANGING,
                )
            )
            for _ in range(2)
        )
        side = dice.one_of((-1, 1))
        return {
            "left_hand": left, "right_hand": right, "left_elbow": 1.0 if left[1] == -0.66 else 0.2,
            "right_elbow": 1.0 if right[1] == -0.66 else 0.2, "tilt": side * dice.between(0.02, 0.14),
            "pelvis": (side * dice.between(0.02, 0.08), dice.between(0.92, 0.985), 0),
            "spine": (dice.between(-0.15, 0.1), dice.between(-0.4, 0.4), -side * dice.between(0, 0.25)),
            "head": (dice.between(-0.25, 0.15), dice.between(-0.5, 0.5), side * dice.between(0, 0.2)),
        }  # fmt: skip

    def repeat() -> None:
        foot = dice.one_of(("left", "right"))
        sign = 1 if foot == "left" else -1
        score.step(
            foot, sign * dice.between(0.12, 0.32), dice.between(-0.2, 0.25), dice.between(0.5, 0.8), 0.06, **pose()
        )
        score.hold(dice.between(0.4, 1.0))
        score.key(dice.between(0.4, 0.8), **pose())
        score.hold(dice.between(0.3, 0.9))

    return repeat


def purchases(dice: Dice, score: Score) -> Repetition:
    score.start(**_standing(dice), hands=HANGING)
    shelf = dice.between(-0.1, 0.6)
    low = dice.between(0.45, 0.7)

    def repeat() -> None:
        if dice.chance(0.5):
            score.key(
                0.6,
                right_hand=(0.0, shelf, 0.85),
                head=(-0.3 * shelf, 0, 0),
                pelvis=(-0.03, 0.99, 0.05),
                toes=(0.2, 0.0),
            )
            score.hold(0.2)
            score.key(
                0.6, right_hand=(-0.2, -0.3, 0.5), left_hand=(-0.15, -0.35, 0.5), head=(0.3, 0, 0), pelvis=(0, 0.985, 0)
            )
        else:
            score.key(
                0.8, pelvis=(0, low, -0.2), lean=0.7, spine=(0.4, -0.2, 0), right_hand=(0.05, -0.75, 0.55), knees=0.3,
                head=(-0.2, 0, 0),
            )  # fmt: skip
            score.hold(0.25)
            score.key(
                0.8,
                pelvis=(0, 0.985, 0),
                lean=0.0,
                spine=(0.05, 0, 0),
                hands=(-0.2, -0.35, 0.5),
                knees=0.1,
                head=(0.3, 0, 0),
            )
        score.key(0.4, left_hand=(-0.1, -0.3, 0.52), head=(0.35, 0.15, 0))
        score.hold(dice.between(0.2, 0.6))
        score.key(0.5, hands=HANGING, head=(0, dice.between(-0.5, 0.5), 0))

    return repeat


def sitting(dice: Dice, score: Score) -> Repetition:
    score.start(**_seated(dice), hands=_rest_hands(dice, True))

    def repeat() -> None:
        lean = dice.between(-0.3, 0.35)
        hands = dice.one_of(((-0.05, -0.72, 0.5), (-0.4, -0.5, 0.45), (-0.1, -0.15, 0.45), (0.25, -0.7, 0.2)))
        changes: Posture = {
            "lean": lean, "spine": (dice.between(0.05, 0.4), dice.between(-0.3, 0.3), dice.between(-0.12, 0.12)),
            "head": (dice.between(-0.15, 0.3), dice.between(-0.6, 0.6), 0), "left_hand": hands,
            "right_hand": hands if dice.chance(0.7) else (-0.28, 0.1, 0.35),
        }  # fmt: skip
        if dice.chance(0.45):
            foot = dice.one_of(("left", "right"))
            sign = 1 if foot == "left" else -1
            score.step(
                foot, sign * dice.between(0.08, 0.28), dice.between(-0.12, 0.3), dice.between(0.5, 0.8), 0.05, **changes
            )
        else:
            score.key(dice.between(0.6, 1.1), **changes)
        score.hold(dice.between(0.3, 0.9))

    return repeat


def sitting_down(dice: Dice, score: Score) -> Repetition:
    seat = dice.one_of((dice.between(0.48, 0.58), dice.between(0.15, 0.25)))
    seated = _seated(dice, depth=seat)
    if seat < 0.3:
        seated |= {"pelvis": (0, seat, -0.5), "lean": -0.3, "spine": (0.45, 0, 0)}
    feet = {name: seated[name] for name in ("left_foot", "right_foot")}
    standing = _standing(dice) | feet
    hands = (0.05, -0.72, 0.5) if seat > 0.3 else (0.05, -0.5, 0.7)
    score.start(**standing, hands=HANGING)
    tempo = dice.between(0.85, 1.3)

    def repeat() -> None:
        score.hold(dice.between(0.2, 0.6))
        score.key(
            0.75 * tempo, pelvis=(0, 0.5 * (seat + 1), -0.36), lean=0.75, spine=(0.3, 0, 0), head=(-0.35, 0, 0),
            hands=(0.1, -0.75, 0.5), knees=0.25,
        )  # fmt: skip
        score.key(0.55 * tempo, pelvis=seated["pelvis"], lean=0.3, head=(-0.1, 0, 0))
        score.key(0.5 * tempo, lean=seated["lean"], spine=seated["spine"], head=seated["head"], hands=hands)
        score.hold(dice.between(0.4, 1.0))
        score.key(0.6 * tempo, lean=0.75, spine=(0.35, 0, 0), head=(-0.3, 0, 0), hands=(0.05, -0.6, 0.65))
        score.key(0.6 * tempo, pelvis=(0, 0.75, -0.28), lean=0.6)
        score.key(0.6 * tempo, **{**standing, **feet}, hands=HANGING)

    return repeat


def smoking(dice: Dice, score: Score) -> Repetition:
    _settle_down(dice, score, 0.3)
    mouth, away = (-0.27, 0.17, 0.36), (dice.between(0.0, 0.3), dice.between(-0.65, -0.35), dice.between(0.3, 0.5))
    crossed = dice.chance(0.4)
    score.start(right_hand=away, right_elbow=0.3)
    if crossed:
        score.start(left_hand=(-0.45, -0.45, 0.32), left_elbow=0.3)

    def repeat() -> None:
        score.key(dice.about(0.65, 0.15), right_hand=mouth, right_elbow=0.5, head=(0.05, 0, 0))
        score.hold(dice.between(0.3, 0.7))
        _shift_weight(
            dice, score, dice.about(0.6, 0.15), right_hand=away, right_elbow=0.2,
            head=(dice.between(-0.35, -0.05), dice.between(-0.4, 0.4), 0),
        )  # fmt: skip
        score.hold(dice.between(0.3, 0.8))
        score.key(0.15, right_hand=(away[0], away[1] - 0.06, away[2])).key(0.15, right_hand=away)

    return repeat


def photo(dice: Dice, score: Score) -> Repetition:
    score.start(**_standing(dice), hands=HANGING)
    height, low = dice.between(0.12, 0.3), dice.one_of((0.96, 0.96, dice.between(0.5, 0.75)))
    aim = (-0.22, height, 0.45)

    def repeat() -> None:
        score.key(0.5, hands=(-0.15, -0.35, 0.5), head=(0.35, 0, 0))
        score.hold(dice.between(0.1, 0.4))
        score.key(
            0.6, hands=aim, elbows=dice.between(0.1, 0.5), head=(0.0, 0, 0), pelvis=(0, low, -0.3 * (1 - low)),
            lean=0.5 * (1 - low), knees=0.25,
        )  # fmt: skip
        score.hold(dice.between(0.3, 0.7))
        twist = dice.between(-0.5, 0.5)
        score.key(0.7, spine=(0.05, twist, 0), pelvis=(0.08 * twist, low, -0.3 * (1 - low)))
        score.hold(dice.between(0.2, 0.6))
        score.key(0.7, hands=HANGING, pelvis=(0, 0.985, 0), lean=0.0, spine=(0.05, 0, 0), knees=0.1, elbows=0.0)

    return repeat


def waiting(dice: Dice, score: Score) -> Repetition:
    score.start(**_standing(dice), hands=HANGING)
    restless = dice.between(0.2, 0.8)

    def repeat() -> None:
        left, right = dice.one_of((
            (HANGING, HANGING), ((0.05, -0.68, 0.12), HANGING), ((0.05, -0.68, 0.12), (0.05, -0.68, 0.12)),
            ((-0.5, -0.33, 0.36), (-0.48, -0.38, 0.42)), ((-0.25, -0.85, -0.25), (-0.25, -0.85, -0.25)),
            (HANGING, (-0.3, -0.2, 0.5)),
        ))  # fmt: skip
        look = (0.35 if right[0] == -0.3 else dice.between(-0.1, 0.2), dice.between(-0.8, 0.8), 0)
        changes: Posture = {
            "left_hand": left, "right_hand": right, "left_elbow": 0.9 if left[1] == -0.68 else 0.1,
            "right_elbow": 0.9 if right[1] == -0.68 else 0.1, "head": look, "spine": (0.05, 0.3 * look[1], 0),
        }  # fmt: skip
        if dice.chance(restless):
            foot = dice.one_of(("left", "right"))
            sign = 1 if foot == "left" else -1
            weight = -sign * 0.06
            score.step(
                foot, sign * dice.between(0.08, 0.22), dice.between(-0.15, 0.2), 0.55, 0.05,
                pelvis=(weight, 0.985, 0), tilt=0.8 * weight, **changes,
            )  # fmt: skip
        else:
            _shift_weight(dice, score, dice.between(0.5, 0.9), **changes)
        score.hold(dice.between(0.3, 0.9))

    return repeat


def lunge(dice: Dice, score: Score) -> Repetition:
    length, depth = dice.between(0.6, 0.9), dice.between(0.58, 0.76)
    kind = dice.one_of(("forward", "forward", "sideways"))
    hands = dice.one_of(((0.05, -0.68, 0.12), (-0.15, -0.3, 0.42), (0.12, 0.97, 0.05), HANGING, (0.98, 0.05, 0.0)))
    tempo, twist = dice.between(0.85, 1.3), dice.one_of((0.0, 0.5))
    score.start(hands=hands, elbows=1.0 if hands[1] == -0.68 else 0.1, toes=(0.08, 0), pelvis=(0, 0.985, 0))
    lead = ["left", "right"]

    def repeat() -> None:
        side, other = lead
        lead.reverse()
        sign = 1 if side == "left" else -1
        low = dice.about(depth, 0.04)
        if kind == "forward":
            target, pelvis = (sign * 0.13, length), (0.0, low + 0.1, 0.45 * length)
        else:
            target, pelvis = (sign * (0.13 + 0.8 * length), 0.0), (sign * 0.7 * length, low + 0.08, -0.12)
        score.step(side, *target, 0.5 * tempo, 0.1, pelvis=pelvis, lean=0.08)
        bottom = (pelvis[0], low, pelvis[2])
        heel = {f"{other}_toes": (0.08, 0.95)} if kind == "forward" else {}
        score.key(
            0.35 * tempo, pelvis=bottom, spine=(0.05, sign * twist, 0), lean=0.1 if kind == "forward" else 0.45, **heel
        )
        score.hold(dice.between(0.05, 0.3))
        score.key(0.3 * tempo, pelvis=pelvis, spine=(0.02, 0, 0), lean=0.05, **{f"{other}_toes": (0.08, 0.0)})
        score.step(side, sign * 0.13, 0.0, 0.5 * tempo, 0.1, pelvis=(0, 0.985, 0), lean=0.0)
        score.hold(dice.between(0.05, 0.3))

    return repeat


def bow(dice: Dice, score: Score) -> Repetition:
    depth, bend = dice.between(0.5, 1.25), dice.between(0.3, 0.7)
    hands = dice.one_of((HANGING, (-0.22, -0.85, 0.2), (-0.28, -0.2, 0.4), (0.6, -0.5, 0.1)))
    toe_touch = dice.chance(0.35)
    tempo = dice.between(0.8, 1.3)
    score.start(**_standing(dice), hands=hands)

    def repeat() -> None:
        down = dice.about(depth, 0.06)
        score.hold(dice.between(0.1, 0.4))
        score.key(
            tempo, lean=down * (1 - bend) * 1.2, spine=(down * bend * 1.2, 0, 0), pelvis=(0, 0.98, -0.13 * down),
            head=(0.25 * bend, 0, 0), hands=(0.0, -0.6, 0.75) if toe_touch else hands,
        )  # fmt: skip
        score.hold(dice.between(0.1, 0.6))
        score.key(0.9 * tempo, lean=0.0, spine=(0.03, 0, 0), pelvis=(0, 0.985, 0), head=(0, 0, 0), hands=hands)

    return repeat


def reach(dice: Dice, score: Score) -> Repetition:
    score.start(**_standing(dice), hands=HANGING)
    arms = dice.one_of((("left",), ("right",), ("left", "right")))
    height = dice.between(-0.9, 0.9)
    across = dice.between(-0.5, 0.6)

    def repeat() -> None:
        up = height + dice.between(-0.1, 0.1)
        forward = math.sqrt(max(0.08, 0.92 - min(up, 0.9) ** 2 - 0.3 * across**2))
        low = 0.55 + 0.43 * min(1.0, up + 1) if up < 0 else 0.99
        rise = max(0.0, 0.4 * (up - 0.3))
        turn = 0.3 * across * (1 if arms[0] == "left" else -1)
        target: Posture = {
            f"{side}_hand": (0.5 * across, max(-0.75, up), max(forward, 0.5 if up < 0 else 0)) for side in arms
        }
        score.key(
            dice.about(0.8, 0.15), **target, pelvis=(0, low, -0.35 * (1 - low)), lean=0.8 * (1 - low) + 0.05,
            spine=(0.15 - 0.2 * max(up, 0), turn, 0), head=(-0.4 * up, turn, 0), toes=(0.15, rise), knees=0.25,
        )  # fmt: skip
        score.hold(dice.between(0.1, 0.5))
        score.key(
            dice.about(0.8, 0.15), hands=HANGING, pelvis=(0, 0.985, 0), lean=0.0, spine=(0.03, 0, 0), head=(0, 0, 0),
            toes=(0.15, 0), knees=0.1,
        )  # fmt: skip
        score.hold(dice.between(0.1, 0.4))

    return repeat
