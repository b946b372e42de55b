"""Checks the prepared dataset with Great Expectations; no other module imports it.

Three tables are checked: the manifest (suites `schema` and `manifest`), how each photo fits its group and its
shard (`photos`), and one row for each split (`shards`).
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

# The library reads this when it is imported, and then reports nothing about the data to its makers.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
import great_expectations as gx
from great_expectations import expectations as gxe
from great_expectations.expectations.row_conditions import Column

from huebands.data import description, shards, suite
from huebands.data.params import SPLITS, ValidateParams
from huebands.data.suite import Statement

_SITE = "docs"
_SHOWN = 10  # offending photos named in a message; the summary lists all


@dataclass(frozen=True)
class Failure:
    """One expectation that the dataset does not meet.

    Attributes:
        expectation: its type, such as expect_column_values_to_be_unique.
        column: the column or columns it is about.
        reason: what was expected, and what was found where that is one value.
        offending: ids of the photos (or names of the splits or columns) that break it.
    """

    expectation: str
    column: str
    reason: str
    offending: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.offending[:_SHOWN])
        more = len(self.offending) - _SHOWN
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.expectation} on {self.column}: {self.reason}; offending: {shown or 'none'}{rest}"


@dataclass(frozen=True)
class Report:
    """What the suites found.

    Attributes:
        failures: empty when the dataset is good.
        summary: counts, distributions and every expectation; the same dataset gives the same summary.
    """

    failures: tuple[Failure, ...]
    summary: dict[str, Any]


class _Checker:
    """Runs suites in one Great Expectations context and gathers what they find."""

    def __init__(self, docs: Path | None) -> None:
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        self.source = self.context.data_sources.add_pandas("prepared")
        self.suites: dict[str, Any] = {}
        self.failures: list[Failure] = []
        self.actions = []
        if docs is not None:
            store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
            site = {"class_name": "SiteBuilder", "store_backend": store}
            self.context.add_data_docs_site(
                site_name=_SITE,
                site_config={**site, "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}},
            )
            self.actions = [gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=[_SITE])]

    def check(self, name: str, table: pd.DataFrame, statements: Sequence[Statement], index: str) -> None:
        """Check a table; `index` is the column that names an offending row."""
        suite = gx.ExpectationSuite(name=name, expectations=[_expectation(item) for item in statements])
        asset = self.source.add_dataframe_asset(name)
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[
                gx.ValidationDefinition(
                    name=name,
                    data=asset.add_batch_definition_whole_dataframe(name),
                    suite=self.context.suites.add(suite),
                )
            ],
            actions=self.actions,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [index] if index in table else [],
            },
        )
        self.context.validation_definitions.add(checkpoint.validation_definitions[0])
        self.context.checkpoints.add(checkpoint)
        outcome = checkpoint.run(batch_parameters={"dataframe": table})
        (validation,) = outcome.run_results.values()
        results = sorted((item.to_json_dict() for item in validation.results), key=_order)
        self.suites[name] = {
            "evaluated": len(results),
            "successful": sum(item["success"] for item in results),
            "expectations": {" on ".join(reversed(_order(item))): item["success"] for item in results},
        }
        self.failures += [_failure(item, table, index) for item in results if not item["success"]]


def validate(folder: Path, params: ValidateParams, docs: Path | None = None) -> Report:
    """Check the prepared dataset in `folder`; write Data Docs as HTML into `docs` when given.

    Raises:
        ShardError: when a file is missing or cannot be read at all.
    """
    manifest = shards.read_manifest(folder)
    checker = _Checker(docs)
    checker.check("schema", manifest, suite.schema_statements(manifest.columns), index="id")
    if not checker.failures:
        photos_of_split = {split: shards.open_shard(folder, split) for split in SPLITS}
        checker.check("manifest", manifest, suite.manifest_statements(params), index="id")
        photos = description.describe_photos(manifest, photos_of_split)
        checker.check("photos", photos, suite.photo_statements(), index="id")
        splits = description.describe_shards(manifest, photos_of_split)
        checker.check("shards", splits, suite.shard_statements(), index="split")
    summary = {
        "success": not checker.failures,
        **(description.distributions(manifest) if "manifest" in checker.suites else {}),
        "failures": [asdict(failure) for failure in checker.failures],
        "suites": checker.suites,
    }
    return Report(failures=tuple(checker.failures), summary=summary)


def _expectation(statement: Statement) -> Any:
    kind, keywords, note = statement
    keywords = dict(keywords)
    if "row_condition" in keywords:
        column, value = keywords["row_condition"]
        keywords["row_condition"] = Column(column) == value
    return getattr(gxe, kind)(**keywords, notes=note)


def _subject(config: dict[str, Any]) -> str:
    """Name the column or columns that an expectation is about."""
    keywords = config["kwargs"]
    if "column" in keywords:
        return str(keywords["column"])
    if "column_A" in keywords:
        return f"{keywords['column_A']}, {keywords['column_B']}"
    if "row_condition" in keywords:
        return f"{keywords['row_condition']['column']['name']}={keywords['row_condition']['parameter']}"
    columns = keywords["column_list"]
    return ", ".join(columns) if len(columns) < 5 else "all columns"


def _order(result: dict[str, Any]) -> tuple[str, str]:
    return _subject(result["expectation_config"]), result["expectation_config"]["type"]


def _failure(result: dict[str, Any], table: pd.DataFrame, index: str) -> Failure:
    config, outcome = result["expectation_config"], result["result"]
    reason = config["notes"]
    if not outcome:
        causes = {item["exception_message"] for item in result["exception_info"].values()}
        reason = f"{reason}; could not be evaluated: {'; '.join(sorted(causes))}"
    elif "observed_value" in outcome and not isinstance(outcome["observed_value"], list):
        observed = outcome["observed_value"]
        reason = f"{reason}; found {round(observed, 4) if isinstance(observed, float) else observed}"
    return Failure(config["type"], _subject(config), reason, tuple(_offending(config, outcome, table, index)))


def _offending(config: dict[str, Any], outcome: dict[str, Any], table: pd.DataFrame, index: str) -> list[str]:
    """Name what breaks an expectation; for a mean, the rows outside its range."""
    keywords = config["kwargs"]
    if "unexpected_index_list" in outcome:
        return [str(row[index]) for row in outcome["unexpected_index_list"]]
    match config["type"]:
        case "expect_table_columns_to_match_ordered_list":
            expected, observed = keywords["column_list"], outcome["observed_value"]
            differing = [column for column in expected if column not in observed]
            differing += [column for column in observed if column not in expected]
            return differing or [second for first, second in zip(expected, observed, strict=True) if first != second]
        case "expect_table_row_count_to_be_between":
            condition = keywords["row_condition"]
            in_split = table[condition["column"]["name"]] == condition["parameter"]
            return [str(value) for value in table.loc[in_split, index]]
        case "expect_column_mean_to_be_between":
            values = table[keywords["column"]]
            low, high = keywords["min_value"], keywords["max_value"]
            distances = (values - values.clip(low, high)).abs()
            outliers = distances[distances > 0].sort_values(ascending=False, kind="stable")
            return [str(value) for value in table.loc[outliers.index, index]]
        case _:
            return []
