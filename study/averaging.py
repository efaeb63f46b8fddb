"""What the mean over the eight flips and turns of an image adds: the same networks, asked again."""

from common import metrics

COLUMNS = ("averaged_iou_mean", "averaged_iou_min")


def measure(run, settings):
    """Columns: mean and least IoU of the averaged predictions on the unseen images."""
    import model

    X, Y = run.validation
    iou = metrics.iou(Y, metrics.predicted(model.predict(run.network, X, average=True)))
    return dict(zip(COLUMNS, (iou.mean(), iou.min()), strict=True))
