"""The champion of before becomes champion again."""

from huebands.package.schema import PackageError
from huebands.params import Params
from huebands.promotion.contender import Contender
from huebands.registry.champion import REPLACED, bring_back, champion_version, was_champion
from huebands.registry.models import find_package, tags_of


def roll_back(settings: Params, to: int | None = None, reason: str = "", dry_run: bool = False) -> str:
    """Move the alias `champion` back, provided that the version that it shall name can be loaded.

    Args:
        settings: of the pipeline.
        to: number of the version; None: the one that the champion has replaced.
        reason: kept as a tag of the version that gives way.
        dry_run: nothing is written.

    Returns:
        What was done, in words.

    Raises:
        PackageError: when there is nothing to go back to, or it was never champion, or cannot be loaded.
        TrackingError: when the registry fails, or another program moves the champion.
    """
    name = settings.register.model_name
    champion = champion_version(name)
    if champion is None:
        raise PackageError(f"{name} has no champion; `huebands promote` makes one")
    replaced = tags_of(champion).get(REPLACED, "")
    if to is None and not replaced:
        raise PackageError(f"{champion.uri}: no champion before it is known; name the version with `--to N`")
    target = find_package(f"models:/{name}/{int(replaced) if to is None else to}")
    if target.version == champion.version:
        raise PackageError(f"{target.uri}: is champion; name another version with `--to N`")
    if not was_champion(target):
        raise PackageError(
            f"{target.uri}: was never champion, so nothing says that it is better than grey; use `huebands promote"
            f" --version {target.version}`"
        )
    loaded = Contender.load(target, settings.calibrate.report_alpha)
    if loaded.problem:
        raise PackageError(f"{target.uri}: cannot be champion again: {loaded.problem}; name another with `--to N`")
    words = f"{target.uri} {'would be' if dry_run else 'is'} champion in place of version {champion.version}"
    if not dry_run:
        bring_back(target, champion, reason)
    return words
