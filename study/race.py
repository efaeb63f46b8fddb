"""The race of two solutions: after how many steps the memory would be there, after how many the rule, and who wins."""

GOALS = (0.5, 0.8, 0.9)  # IoU
CURVES = {"train_iou": "training image", "val_iou_mean": "unseen images"}


def column(curve, goal):
    """The column that holds the step at which one of CURVES was first seen at a goal."""
    return f"steps to {goal} on the {CURVES[curve]}"


def measure(run, settings):
    """The steps at which training and unseen images were first seen at each of GOALS, "" where they never were.

    Unseen images are the few that are watched.
    """
    return {column(curve, goal): next((point["step"] for point in run.history if point[curve] >= goal), "")
            for curve in CURVES for goal in GOALS}
