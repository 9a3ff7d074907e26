"""What a combination of techniques gives up in accuracy, in a few words."""

from __future__ import annotations

from llamasim.study.evidence import Evidence, Interval


def accuracy_text(evidence: Evidence | None, metric: str) -> str:
    """Return the loss in a metric, in others where it has none, and what nobody has measured."""
    if evidence is None:
        return ""
    if not evidence.losses and not evidence.silent:
        return "exact"
    parts = []
    spoken = [t for t, m in evidence.losses.items() if metric in m]
    if spoken:
        text = f"{words(metric)} {interval(metric, evidence.known(metric))}"
        parts.append(f"{text} (sum, not measured together)" if len(spoken) > 1 else text)
    for technique, metrics in evidence.losses.items():
        if technique not in spoken:
            other = min(metrics)
            parts.append(f"{words(other)} {interval(other, metrics[other])}")
    if evidence.silent:
        parts.append("no evidence for " + ", ".join(map(short, evidence.silent)))
    return "; ".join(parts)


def words(metric: str) -> str:
    """Return a metric's name as words."""
    return metric.replace("_", " ")


def short(technique: str) -> str:
    """Return a technique's own name."""
    return technique.rpartition(".")[2]


def interval(metric: str, value: Interval) -> str:
    """Return a loss; shares of a score or of a perplexity are in percent."""
    if metric.endswith(("_loss", "_increase")):
        return f"{value.low * 100:.3g} to {value.high * 100:.3g} %"
    return f"{value.low:g} to {value.high:g}"
