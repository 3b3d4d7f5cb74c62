from __future__ import annotations

import pytest

from bench.jobs import Case, Measurement, Places, Scale, case, read_job, read_measurement, write_job, write_measurement
from bench.runner import Findings, plan
from bench.targets import Figure, figures
from bench.workloads import WORKLOADS


def measured(operations: int = 100, server_s: float = 0.01, wall_s: float = 1.0, latency_ms: float = 1.0) -> Measurement:
    return Measurement(operations, wall_s, server_s, 0.0, 0.1, [latency_ms])


def figure(findings: Findings, words: str) -> Figure:
    return next(one for one in figures(findings) if words in one.name)


def fan_out(who: str, subscribers: int) -> Case:
    return case("fan_out", who, subscribers=subscribers, seconds=1.0)  # type: ignore[arg-type]  # one of the contenders


def test_a_figure_is_the_ratio_of_the_same_case_of_both_contenders() -> None:
    findings = Findings({fan_out("hub", 1000): [measured(server_s=0.02)], fan_out("bare", 1000): [measured(server_s=0.04)]})
    found = figure(findings, "against a bare broadcast")
    assert found.found is not None
    assert found.found.median == pytest.approx(0.5)
    assert found.is_met


def test_a_figure_beyond_its_goal_is_not_met() -> None:
    findings = Findings({fan_out("hub", 1000): [measured(server_s=0.04)], fan_out("bare", 1000): [measured(server_s=0.04)]})
    assert not figure(findings, "against a bare broadcast").is_met


def test_a_further_subscribers_cost_leaves_out_what_the_commit_costs() -> None:
    """A commit costs the hub 10 ms and a delivery 10 µs; bare pays 20 µs for a delivery and nothing else."""
    findings = Findings(
        {
            fan_out("hub", 1): [measured(1, 0.010_01)],
            fan_out("hub", 1000): [measured(1000, 0.02)],
            fan_out("bare", 1): [measured(1, 0.000_02)],
            fan_out("bare", 1000): [measured(1000, 0.02)],
        }
    )
    found = figure(findings, "per further subscriber").found
    assert found is not None
    assert found.median == pytest.approx(0.5)


@pytest.mark.parametrize(
    "findings",
    [
        pytest.param(Findings(), id="nothing ran"),
        pytest.param(Findings({fan_out("hub", 1000): [measured()]}), id="only the hub ran"),
        pytest.param(
            Findings({fan_out("hub", 1000): [measured()] * 2, fan_out("bare", 1000): [measured()]}), id="a round of one side failed"
        ),
    ],
)
def test_a_figure_without_its_pair_says_so_and_is_not_met(findings: Findings) -> None:
    found = figure(findings, "against a bare broadcast")
    assert found.found is None
    assert (found.shown, found.verdict) == ("not measured", "–")
    assert not found.is_met


@pytest.mark.parametrize("scale", ["tiny", "quick", "full"])
def test_a_whole_run_finds_every_figure(scale: Scale) -> None:
    findings = Findings()
    for one in plan(scale, list(WORKLOADS), has_peer=True):
        found = measured()
        found.figures = dict.fromkeys(
            [
                *("KiB a socket", "% of a core", "finds for each commit shown", "ms to the own transition, p50"),
                *("KiB a viewer", "KiB of oplog a token"),
            ],
            1.0,
        )
        if one.workload == "fan_out":
            found.server_cpu_s = 0.01 * one.number("subscribers")  # else a further subscriber would cost nothing
        findings.measured.setdefault(one, []).append(found)

    assert [one.name for one in figures(findings) if one.found is None] == []


def test_the_contenders_of_a_case_stand_next_to_each_other_and_nobody_is_always_first() -> None:
    cases = WORKLOADS["fan_out"].cases("full")
    jobs = plan("full", ["fan_out"], has_peer=True)
    assert jobs == [*cases, *reversed(cases), *cases]


def test_without_the_peer_nobody_is_measured_against_it() -> None:
    assert all(one.contender != "peer" for one in plan("full", list(WORKLOADS), has_peer=False))


def test_jobs_and_measurements_survive_the_way_between_the_processes() -> None:
    places = Places("mongodb://m", "http://h", "http://b", None, "key", 1, 2, 3, None)
    for one in plan("quick", list(WORKLOADS), has_peer=True):
        assert read_job(write_job(one, places)) == (one, places)
    assert read_measurement(write_measurement(measured())) == measured()
