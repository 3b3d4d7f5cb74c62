"""The load generator: one process for one job. `python -m bench.load JOB` prints the measurement as one line of JSON."""

from __future__ import annotations

import asyncio
import resource
import sys

import uvloop

from bench.jobs import read_job, write_measurement
from bench.workloads import WORKLOADS


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    case, places = read_job(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(write_measurement(runner.run(WORKLOADS[case.workload].drive(case, places))))


if __name__ == "__main__":
    main()
