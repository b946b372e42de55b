"""What Prometheus is told of the queue and the processes behind it."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from huebands.serving.admission.control import AdmissionControl


class PoolCollector(Collector):
    """Reads the state of a service's pool and of its admission control when it is asked.

    Args:
        admission: of the service.
    """

    def __init__(self, admission: AdmissionControl) -> None:
        self.admission = admission

    def collect(self) -> Iterator[Metric]:
        """Give the numbers of this moment."""
        pool = self.admission.pool
        yield GaugeMetricFamily("huebands_jobs_waiting", "Photos that wait for a process", pool.waiting)
        yield GaugeMetricFamily("huebands_jobs_in_work", "Photos that are worked on", pool.working)
        yield GaugeMetricFamily("huebands_processes_ready", "Processes that colorize or could", len(pool.pids))
        admitted = "Requests whose photos are read, wait, are worked on or sent"
        yield GaugeMetricFamily("huebands_admitted_requests", admitted, self.admission.requests)
        yield GaugeMetricFamily("huebands_held_bytes", "Of uploads and answers", self.admission.held_bytes)
        troubles = CounterMetricFamily("huebands_troubles", "Jobs not done, processes replaced", labels=["cause"])
        for cause, count in sorted(pool.counts.items()):
            troubles.add_metric([cause], count)
        yield troubles
