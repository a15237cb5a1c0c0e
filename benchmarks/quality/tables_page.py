"""The page of tables: each set with the means and standard errors of all contenders, and the comparison in short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.quality.comparing import floors, geometric_mean, mean, median, pairs, standard_error
from benchmarks.quality.contenders import CONTENDERS, LINEAR, MLP, TREES
from benchmarks.quality.trials import Kept, Trial
from fallline.bench.markdown import seconds
from fallline.bench.markdown import table as markdown

COMMAND = "python -m benchmarks.quality --preset fast,default --keep docs/tables.json --write docs/tables.md"
# Splits of which a comparison is made.
FEWEST = 3
TASKS = {"regression": ("rmse",), "classification": ("error", "log_loss", "auc")}
HEADINGS = {
    "rmse": "RMSE, in the units of the target",
    "error": "Error, % of the test rows",
    "log_loss": "Log-loss",
    "auc": "Area under the ROC curve",
}


def cell(values: Sequence[float], measure: str) -> str:
    """A mean and its standard error, such as 4.23 +- 0.12."""
    if not values:
        return ""
    scale = 100 if measure == "error" else 1
    middle, spread = scale * sum(values) / len(values), scale * standard_error(values)
    digits = 2 if measure == "error" else 4 if measure in ("auc", "log_loss") or middle < 1 else 3 if middle < 10 else 2
    return f"{middle:.{digits}f}" + ("" if spread != spread else f" +- {spread:.{digits}f}")


def results(kept: Kept, part: str, measure: str) -> str:
    """One measure of all contenders on the sets that have it, the best of a set in bold."""
    who, rows = kept.contenders(part), []
    for name in kept.tables(part):
        found = on_common_splits({one: kept.of(part, name, one) for one in who})
        any_of = next(trials for trials in found.values() if trials)[0]
        if measure not in any_of.scores:
            continue
        best = (max if measure == "auc" else min)(
            (one for one in who if found[one]), key=lambda one: mean(found[one], measure)
        )
        splits = max(map(len, found.values()))
        cells = [cell([t.scores[measure] for t in found[one]], measure) for one in who]
        cells = [
            f"{text} ({len(found[one])})" if 0 < len(found[one]) < splits else text for one, text in zip(who, cells)
        ]
        cells = [f"**{text}**" if one == best else text for one, text in zip(who, cells)]
        rows.append((name, f"{any_of.trained:,} / {any_of.rows:,}", str(splits), *cells))
    return markdown(("set", "rows: train / test", "splits", *who), rows) if rows else ""


def on_common_splits(found: Mapping[str, Sequence[Trial]]) -> dict[str, list[Trial]]:
    """The trials of a set on the splits that all have; who was measured on fewer than FEWEST keeps their own."""
    most = max(map(len, found.values()))
    full = [{one.split for one in trials} for trials in found.values() if len(trials) >= min(FEWEST, most)]
    common = set.intersection(*full)
    return {who: [one for one in trials if one.split in common] or list(trials) for who, trials in found.items()}


def summary(kept: Kept, part: str) -> str:
    """One line for each preset: its errors relative to HistGB's, and its wins and losses."""
    rows = []
    for ours in (one for one in kept.contenders(part) if CONTENDERS[one].ours):
        against = {
            "regression": pairs(kept, part, ours, TREES, "regression"),
            "classification": pairs(kept, part, ours, TREES, "classification"),
            "log-loss": pairs(kept, part, ours, TREES, "classification", "log_loss"),
        }
        cells = [f"{geometric_mean(found):.3f} / {median(found):.3f}" for found in against.values()]
        for peer in (LINEAR, MLP, TREES):
            found = pairs(kept, part, ours, peer)
            better, worse = (sum(one.sure == sign for one in found) for sign in (-1, 1))
            cells.append(f"{better} / {len(found) - better - worse} / {worse}")
        rows.append((ours, *cells))
    head = ("preset", "RMSE", "error", "log-loss", f"against {LINEAR}", f"against {MLP}", f"against {TREES}")
    return markdown(head, rows) if rows else ""


def lost(kept: Kept, part: str, ours: str) -> str:
    """The sets where a preset's error is above that of HistGB, in words."""
    found = sorted((one for one in pairs(kept, part, ours, TREES) if one.ratio > 1), key=lambda one: -one.ratio)
    if not found:
        return f"With preset {ours} trees win on no set."
    told = ", ".join(
        f"{one.table} ({one.ratio:.2f} of their error{', surely' if one.sure > 0 else ''})" for one in found
    )
    return f"With preset {ours} trees win on {len(found)} set{'s' * (len(found) > 1)}: {told}."


def times(kept: Kept, part: str) -> str:
    """Seconds of a training, the mean over the splits."""
    who, rows = kept.contenders(part), []
    for name in kept.tables(part):
        found = [kept.of(part, name, one) for one in who]
        sizes = next(trials for trials in found if trials)[0]
        took = [seconds(sum(t.seconds for t in trials) / len(trials)) if trials else "" for trials in found]
        rows.append((name, f"{sizes.trained:,}", *took))
    return markdown(("set", "rows", *who), rows)


def floors_table(kept: Kept, part: str, ours: str) -> str:
    rows = [(f.what, f.asked, f.found, "met" if f.met else "SHORT") for f in floors(kept, part, ours)]
    return markdown((f"floor of preset {ours}", "asked", "found", "verdict"), rows) if rows else ""


def short(kept: Kept, part: str) -> str:
    """The summary and the floors, for a screen."""
    ours = [one for one in kept.contenders(part) if CONTENDERS[one].ours]
    parts = [results(kept, part, measure) for measures in TASKS.values() for measure in measures]
    parts += [summary(kept, part), *(floors_table(kept, part, one) for one in ours)]
    return "\n\n".join(filter(None, parts))


def page(kept: Kept, command: str = COMMAND) -> str:
    """The whole page."""
    part = "test"
    ours = [one for one in kept.contenders(part) if CONTENDERS[one].ours]
    main = "default" if "default" in ours else ours[0] if ours else ""
    parts = [
        "# Quality on tables",
        f"Made by `{command}`. {kept.machine} {kept.libraries}",
        "Raw tables go in, with texts and missing values as they are, and no choice is made for any set: a preset of "
        f"Fallline; a logistic or ridge regression ({LINEAR}) and scikit-learn's MLP, each behind the usual pipeline "
        "(gaps filled by the median, one-hot categories, StandardScaler; the target of a regression standardised too; "
        "up to 1000 iterations); HistGradientBoosting's defaults, told which columns are categories. Splits are those "
        "that come with a set (adult: one, trained with several seeds), else random, 80 % to train on, classes in "
        "equal shares. Test rows serve for nothing but these figures. Each cell is the mean over the splits and its "
        "standard error, over the splits on which all were measured.",
        "## In short",
        "Errors relative to HistGradientBoosting's: geometric mean / median over the sets. Against the others: sets "
        "on which a preset is better / about equal / worse, where better and worse are differences of more than two "
        "standard errors over the splits.",
        summary(kept, part),
        *(lost(kept, part, one) for one in ours),
        *([floors_table(kept, part, main)] if main else []),
    ]
    for task, measures in TASKS.items():
        shown = [(HEADINGS[measure], results(kept, part, measure)) for measure in measures]
        if shown[0][1]:
            parts.append(f"## {task.capitalize()}")
            parts += [text for heading, table in shown for text in (f"### {heading}", table)]
    parts += ["## Seconds of a training", "Encoding included, on all cores of a machine that may have been busy.",
              times(kept, part)]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"
