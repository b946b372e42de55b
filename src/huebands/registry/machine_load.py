"""The load of the machine while a training runs: MLflow's own measurements, as points of metrics.

MLflow's monitor asks the server for each of its samples, and ends when there is no answer. So only its measurements are
taken, and whoever has started them logs the points.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mlflow.entities import Metric
from mlflow.environment_variables import (
    MLFLOW_SYSTEM_METRICS_NODE_ID,
    MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING,
    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL,
)
from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

_INTERVAL = 10.0  # seconds


class MachineLoad:
    """Measures the use of processor, memory, disk, network and GPU, until it is stopped.

    MLflow's variables MLFLOW_SYSTEM_METRICS_* apply. The step of a point is the number of measurements that would have
    been made since the start of the run, so that those of a resumed run follow.

    Args:
        started: start of the run, milliseconds.
        measured: gets the points of each measurement, in a thread of its own.
    """

    def __init__(self, started: int, measured: Callable[[list[Metric]], None]) -> None:
        self._started, self._measured = started, measured
        self._interval = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or _INTERVAL)
        self._samples = int(MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() or 1)
        node = MLFLOW_SYSTEM_METRICS_NODE_ID.get()
        self._prefix = f"system/{node}/" if node else "system/"
        self._monitors = _monitors()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="machine load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the measurements."""
        self._stopped.set()
        self._thread.join()

    def _measure(self) -> None:
        while True:
            for _ in range(self._samples):
                for monitor in self._monitors:
                    monitor.collect_metrics()
                if self._stopped.wait(self._interval):
                    return
            moment = round(time.time() * 1000)
            step = round((moment - self._started) / (1000 * self._interval * self._samples))
            points = []
            for monitor in self._monitors:
                for name, value in monitor.aggregate_metrics().items():
                    points.append(Metric(f"{self._prefix}{name}", float(value), moment, step))
                monitor.clear_metrics()
            self._measured(points)


def _monitors() -> list[BaseMetricsMonitor]:
    """MLflow's monitors, with that of the GPU where there is one."""
    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for gpu_monitor in (GPUMonitor, ROCMMonitor):
        with suppress(Exception):  # of any library: there is no such GPU, or no library for it
            return [*monitors, gpu_monitor()]
    return monitors
