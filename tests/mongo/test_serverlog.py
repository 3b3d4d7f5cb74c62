"""The log of the embedded server: bounded while it is written, and readable when it matters."""

from __future__ import annotations

from pathlib import Path

from hub.mongo.serverlog import ServerLog


def test_a_log_over_its_limit_is_cut_and_the_writer_goes_on_at_its_new_end(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "mongod.log", limit_bytes=100)
    with log.path.open("ab", buffering=0) as server:
        server.write(b"x" * 100)
        log.bound()
        assert log.path.stat().st_size == 100, "at the limit is within it"
        server.write(b"x")

        log.bound()
        server.write(b"after")

    assert log.path.read_bytes() == b"after"
    assert log.before.read_bytes() == b"x" * 101


def test_each_start_has_its_own_log_and_the_one_before_stays(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "mongod.log")
    log.begin()
    log.path.write_text("the first\n")

    log.begin()

    assert (log.tail(), log.before.read_text()) == ("", "the first\n")


def test_without_errors_the_last_lines_are_quoted(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "mongod.log")
    assert log.last_words() == ""
    log.path.write_text("".join(f'{{"s":"I","msg":"{n}"}}\n' for n in range(5)))

    assert log.last_words(count=2) == '{"s":"I","msg":"3"} | {"s":"I","msg":"4"}'
