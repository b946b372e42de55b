"""What Prometheus is told: numbers of this service alone, with labels from short closed lists.

BentoML's own keeps time series for every address that anybody ever asked for, so that strangers fill the memory.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from huebands.package.read import ModelPackage
from huebands.serving.monitoring.access_log import Visit
from huebands.serving.monitoring.monitor import Alarm, Monitor

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # a large photo takes many
_PART_SECONDS = (0.001, 0.005, 0.01, *_SECONDS)
_LEVELS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256)
_SHARES = (0.01, 0.02, 0.05, *(tenth / 10 for tenth in range(1, 10)), 1.0)
_MEGAPIXELS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 16, 24, 32, 50)


class Metrics:
    """Counts what was answered.

    Attributes:
        registry: of all numbers, this process's memory and processor time among them.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._seconds = Histogram(
            "huebands_request_seconds", "Time to an answer", ("path", "status"), registry=registry, buckets=_SECONDS
        )
        self._rejections = Counter(
            "huebands_rejections", "Requests that were not answered as asked", ("cause",), registry=registry
        )
        self._photos = Counter("huebands_photos", "Photos answered", ("route",), registry=registry)
        self._pixels = Counter("huebands_pixels", "Pixels of the photos answered", registry=registry)

        def histogram(name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"huebands_{name}", meaning, registry=registry, buckets=buckets)

        self._widths = histogram("band_width_levels", "Mean width of a photo's bands, 8-bit levels", _LEVELS)
        self._likeness = histogram("likeness_p_value", "P-value of likeness to the calibration photos", _SHARES)
        self._megapixels = histogram("photo_megapixels", "Size of a photo", _MEGAPIXELS)
        self._parts = Histogram(
            "huebands_part_seconds",
            "Time that a part of the work took",
            ("part",),
            registry=registry,
            buckets=_PART_SECONDS,
        )

    def add(self, visit: Visit) -> None:
        """Count a visit that has come to its end."""
        self._seconds.labels(visit.path, visit.status).observe(visit.seconds)
        if visit.cause is not None:
            self._rejections.labels(visit.cause).inc()
        if visit.facts is None:
            return
        pixels = visit.facts.width * visit.facts.height
        self._photos.labels(visit.path).inc()
        self._pixels.inc(pixels)
        self._widths.observe(visit.facts.band_width)
        self._likeness.observe(visit.facts.likeness)
        self._megapixels.observe(pixels / 1e6)
        for part, seconds in visit.parts.items():
            self._parts.labels(part).observe(seconds)


class ModelCollector(Collector):
    """Reads which model is served, and what is watched of its photos, when it is asked.

    Args:
        package: that is served.
        monitor: of its photos.
    """

    def __init__(self, package: ModelPackage, monitor: Monitor) -> None:
        self.package = package
        self.monitor = monitor

    def collect(self) -> Iterator[Metric]:
        """Give the numbers of this moment."""
        model = GaugeMetricFamily("huebands_model_info", "The model that is served", labels=("name", "version"))
        model.add_metric((str(self.package.config["name"])[:100], self.package.package_sha256[:12]), 1)
        yield model
        drift, coverage = self.monitor.drift, self.monitor.coverage
        yield from _of_alarm("huebands_drift", "photos are unlike the calibration photos", drift.alarm)
        yield from _of_alarm("huebands_coverage", "more leaves its bands than promised", coverage.alarm)
        covered = GaugeMetricFamily("huebands_coverage", "Mean share of colour photos in their bands", labels=("mode",))
        promised = GaugeMetricFamily("huebands_coverage_promised", "Mean share that was promised", labels=("mode",))
        for mode, shares in coverage.shares().items():
            covered.add_metric((mode,), 1 - shares["outside"])
            promised.add_metric((mode,), 1 - shares["alpha"])
        yield from (covered, promised)


def _of_alarm(name: str, meaning: str, alarm: Alarm) -> Iterator[Metric]:
    yield GaugeMetricFamily(f"{name}_alarm", f"1 once there is proof that {meaning}", value=alarm.since is not None)
    yield GaugeMetricFamily(f"{name}_log10_evidence", f"Evidence that {meaning}", value=alarm.log10_evidence)
    yield GaugeMetricFamily(f"{name}_photos", "Photos that the evidence is from", value=alarm.count)
