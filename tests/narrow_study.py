"""A narrow run of two questions of the study that look at their networks."""

from common.settings import Settings
from study.processes import score
from study.questions import QUESTIONS

NARROW = dict(width=0.1, steps=2, evaluations=2, validation=2, watch=1)


if __name__ == "__main__":
    for name in ("first_step", "parts"):
        question = QUESTIONS[name]
        variant = next(iter(question.varies))
        settings = Settings(**{**question.varies[variant], **NARROW})
        print(name, len(score(settings, *question.instruments)))
