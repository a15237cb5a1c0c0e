"""`fallline train`: data in, network trained with live progress, result on screen and in a run folder.

DATA is digits, iris, wine, breast-cancer, diabetes, or a file of rows with the column that --target names. How each
column is understood is shown before training; flags such as --as, --drop and --decimal correct it. A target of text, or
of at most ten distinct whole numbers, is taken as classes, any other as a quantity; --task says otherwise. All that the
network needs of its columns is saved with it. The test rows are the same whatever the seed, and are looked at once, at
the end. The network that is kept is the one with the lowest validation loss. It is shown beside the commonest class or
the mean, a linear model and boosted trees, trained and tested on the same rows; --no-compare leaves that out.
"""

from fallline.cli.training_flags import FLAGS, check_threads

EXAMPLES = """\
fallline train data.csv --target price
fallline train data.csv --target left --drop id --group customer --watch roc_auc
fallline train digits
fallline train iris --hidden 8 --activation tanh --epochs 200
fallline train breast-cancer --hidden none --optimizer gradient_descent --learning-rate 0.5
fallline train digits --out runs/long --epochs 500       then, after Ctrl-C:
fallline train digits --out runs/long --epochs 500 --resume"""

__all__ = ["EXAMPLES", "FLAGS", "run"]


def run(flags: FLAGS) -> None:
    from fallline.cli import run_results, session
    from fallline.cli.exits import DIVERGED, Exit, stopped_by

    check_threads(flags.threads)
    plan = session.plan(flags)
    outcome = session.run(plan)
    run_results.show(plan, outcome)
    run_results.beside(plan, outcome)
    if outcome.reason == "diverged":
        raise Exit(DIVERGED)
    if outcome.reason == "interrupted":
        raise Exit(stopped_by(outcome.signal))
