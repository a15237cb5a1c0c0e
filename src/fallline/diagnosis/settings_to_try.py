"""Settings to try as a person would type them: on the command line for its runs, as an argument of `fl.fit` else."""

from fallline.diagnosis.case import Case


def as_typed(case: Case, name: str, value: float | int) -> str:
    """The command line that trains anew with another setting; "" for a run that was not made by one."""
    extra = case.opened.run.extra
    source, training = extra.get("source"), extra.get("training")
    if case.opened.recipe is None or not isinstance(source, dict):
        return ""
    preset = training["choices"].get("preset") if isinstance(training, dict) else None
    words = ["fallline train", str(source["data"]), *([f"--preset {preset}"] if preset else [])]
    return f"{' '.join(words)} --{name.replace('_', '-')} {value:.4g}"


def setting(case: Case, name: str, value: float | int) -> str:
    """A setting as a command line where the run came from one, and as an argument of `fl.fit` elsewhere."""
    return as_typed(case, name, value) or f"{name}={value:.4g}"


__all__ = ["as_typed", "setting"]
