"""The metrics for Prometheus: numbers of this service alone, with labels from short closed lists.

BentoML's own metrics keep a time series for every path that a client requests, so that clients can fill the memory.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from huebands.package.read import ModelPackage
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.monitoring.alarm import Alarm
from huebands.serving.monitoring.follow_status import FollowStatus
from huebands.serving.monitoring.monitor import Monitor
from huebands.serving.monitoring.request_record import RequestRecord
from huebands.serving.workers.pool import WorkerPool

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # a large photo takes many
_PART_SECONDS = (0.001, 0.005, 0.01, *_SECONDS)
_LEVELS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256)
_SHARES = (0.01, 0.02, 0.05, *(tenth / 10 for tenth in range(1, 10)), 1.0)
_MEGAPIXELS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 16, 24, 32, 50)


class Metrics:
    """Counts answers, refusals and the measurements of photos.

    Attributes:
        registry: registry of all metrics, including this process's memory and processor time.
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

        def histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"huebands_{name}", meaning, labels, registry=registry, buckets=buckets)

        self._widths = histogram("band_width_levels", "Mean width of a photo's bands, 8-bit levels", _LEVELS, "version")
        likeness = "P-value of likeness to the calibration photos"
        self._likeness = histogram("likeness_p_value", likeness, _SHARES, "version")
        self._megapixels = histogram("photo_megapixels", "Size of a photo", _MEGAPIXELS)
        self._parts = Histogram(
            "huebands_part_seconds",
            "Time that a part of the work took",
            ("part",),
            registry=registry,
            buckets=_PART_SECONDS,
        )

    def add(self, record: RequestRecord) -> None:
        """Count a request whose answer starts."""
        self._seconds.labels(record.path, record.status).observe(record.seconds)
        if record.cause is not None:
            self._rejections.labels(record.cause).inc()
        measurements = record.measurements
        if measurements is None:
            return
        pixels = measurements.width * measurements.height
        self._photos.labels(record.path).inc()
        self._pixels.inc(pixels)
        self._widths.labels(record.version).observe(measurements.band_width)
        self._likeness.labels(record.version).observe(measurements.likeness)
        self._megapixels.observe(pixels / 1e6)
        for part, seconds in record.part_seconds.items():
            self._parts.labels(part).observe(seconds)


class ModelCollector(Collector):
    """Reports the served model, and the monitor of its photos.

    Args:
        current: gives the package that is served, and the monitor of its photos.
    """

    def __init__(self, current: Callable[[], tuple[ModelPackage, Monitor]]) -> None:
        self.current = current

    def collect(self) -> Iterator[Metric]:
        """Give the numbers of this moment."""
        package, monitor = self.current()
        model = GaugeMetricFamily("huebands_model_info", "The model that is served", labels=("name", "version"))
        model.add_metric((str(package.config["name"])[:100], package.package_sha256[:12]), 1)
        yield model
        drift, coverage = monitor.drift, monitor.coverage
        yield from _alarm_metrics("huebands_drift", "photos are unlike the calibration photos", drift.alarm)
        yield from _alarm_metrics(
            "huebands_coverage", "more values are outside their bands than promised", coverage.alarm
        )
        covered = GaugeMetricFamily("huebands_coverage", "Mean share of colour photos in their bands", labels=("mode",))
        promised = GaugeMetricFamily("huebands_coverage_promised", "Mean share that was promised", labels=("mode",))
        for mode, shares in coverage.shares().items():
            covered.add_metric((mode,), 1 - shares["outside"])
            promised.add_metric((mode,), 1 - shares["alpha"])
        yield from (covered, promised)


def _alarm_metrics(name: str, meaning: str, alarm: Alarm) -> Iterator[Metric]:
    yield GaugeMetricFamily(f"{name}_alarm", f"1 once there is proof that {meaning}", value=alarm.since is not None)
    yield GaugeMetricFamily(f"{name}_log10_evidence", f"Evidence that {meaning}", value=alarm.log10_evidence)
    yield GaugeMetricFamily(f"{name}_photos", "Photos that the evidence is from", value=alarm.count)


class PoolCollector(Collector):
    """Reports the worker pools and the admission control.

    Args:
        admission: admission of the service.
        pools: gives the pools that have jobs or may get some: two while a model is replaced.
    """

    def __init__(self, admission: AdmissionControl, pools: Callable[[], Iterable[WorkerPool]]) -> None:
        self.admission = admission
        self.pools = pools

    def collect(self) -> Iterator[Metric]:
        """Give the numbers of this moment."""
        pools = list(self.pools())
        waiting, working = sum(pool.waiting for pool in pools), sum(pool.working for pool in pools)
        ready = sum(len(pool.pids) for pool in pools)
        yield GaugeMetricFamily("huebands_jobs_waiting", "Photos that wait for a worker process", waiting)
        yield GaugeMetricFamily("huebands_jobs_in_work", "Photos that a worker process has", working)
        yield GaugeMetricFamily("huebands_processes_ready", "Worker processes that are ready", ready)
        admitted = "Requests that upload, wait, are worked on or receive their answer"
        yield GaugeMetricFamily("huebands_admitted_requests", admitted, self.admission.requests)
        yield GaugeMetricFamily("huebands_held_bytes", "Bytes of uploads and answers", self.admission.held_bytes)
        troubles = CounterMetricFamily(
            "huebands_troubles", "Jobs not done, worker processes replaced", labels=["cause"]
        )
        for cause, count in sorted(self.admission.pool.counts.items()):
            troubles.add_metric([cause], count)
        yield troubles


class FollowCollector(Collector):
    """Reports how following an alias goes.

    Args:
        status: status of the follower.
    """

    def __init__(self, status: FollowStatus) -> None:
        self.status = status

    def collect(self) -> Iterator[Metric]:
        """Give the numbers of this moment."""
        status = self.status
        alarm = "1 while the version that the alias points at is refused or missing"
        yield GaugeMetricFamily("huebands_follow_alarm", alarm, value=status.alarm is not None)
        if status.last_checked is not None:
            seconds = datetime.fromisoformat(status.last_checked).timestamp()
            meaning = "When the registry answered last, in seconds since 1970"
            yield GaugeMetricFamily("huebands_follow_last_answer_seconds", meaning, value=seconds)
        checks = CounterMetricFamily("huebands_follow_checks", "Looks at the alias", labels=["outcome"])
        checks.add_metric(["answered"], status.checks_answered)
        checks.add_metric(["failed"], status.checks_failed)
        yield checks
        yield CounterMetricFamily("huebands_follow_replacements", "Versions put in use", status.replacements)
        yield CounterMetricFamily("huebands_follow_refusals", "Tries that ended with a refusal", status.refusals)
