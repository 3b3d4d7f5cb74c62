"""Issuers' keys: found by discovery, kept while they serve, fetched no more often than needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hub import config
from hub.errors import Unauthorized, Unavailable
from hub.metrics import Metrics
from hub.server.keysets import KeySet, RemoteKeys
from tests.server.support import Issuer, ManualClock, ec_key, ed_key, public_jwk, rsa_key, running_issuer

OLD, NEW = public_jwk(rsa_key("old"), kid="old"), public_jwk(rsa_key("new"), kid="new")


@asynccontextmanager
async def known(issuer: Issuer, clock: ManualClock, **given: Any) -> AsyncIterator[RemoteKeys]:
    keys = RemoteKeys(config.load(**given), clock, Metrics(), issuer=issuer.address)
    try:
        yield keys
    finally:
        await keys.aclose()


async def found(keys: RemoteKeys, kid: str) -> bool:
    try:
        return (await keys.find("RS256", kid)).key_id == kid
    except Unauthorized:
        return False


async def test_keys_are_discovered_once_and_then_known() -> None:
    async with running_issuer(OLD) as issuer, known(issuer, ManualClock()) as keys:
        answers = [await found(keys, "old") for _ in range(3)]

        assert answers == [True, True, True]
        assert issuer.fetches == ["discovery", "keys"]


async def test_callers_that_come_at_once_share_one_fetch() -> None:
    async with running_issuer(OLD) as issuer, known(issuer, ManualClock()) as keys:
        assert await asyncio.gather(*(found(keys, "old") for _ in range(20))) == [True] * 20

        assert issuer.fetches == ["discovery", "keys"]


async def test_a_caller_that_goes_away_does_not_end_the_fetch_of_the_others() -> None:
    async with running_issuer(OLD) as issuer, known(issuer, ManualClock()) as keys:
        leaving, staying = asyncio.create_task(found(keys, "old")), asyncio.create_task(found(keys, "old"))
        await asyncio.sleep(0)
        leaving.cancel()

        assert await staying


async def test_a_new_key_is_believed_at_once_and_unknown_ids_cannot_make_the_hub_fetch_more() -> None:
    clock = ManualClock()
    async with running_issuer(OLD) as issuer, known(issuer, clock) as keys:
        assert await found(keys, "old")
        issuer.keys[:] = [NEW]

        assert await found(keys, "new")
        after_rotation = len(issuer.fetches)
        assert [await found(keys, f"guess-{n}") for n in range(50)] == [False] * 50
        assert len(issuer.fetches) == after_rotation

        clock.seconds += 31
        assert not await found(keys, "guess")
        assert len(issuer.fetches) == after_rotation + 2


async def test_known_keys_serve_on_while_their_issuer_is_away_and_not_for_ever() -> None:
    clock = ManualClock()
    async with running_issuer(OLD) as issuer, known(issuer, clock, auth_keys_stale_s=3600) as keys:
        assert await found(keys, "old")
        issuer.is_down = True

        clock.seconds += 601  # older than their age, within the time they may serve on
        assert await found(keys, "old")
        clock.seconds += 3600
        with pytest.raises(Unavailable):
            await keys.find("RS256", "old")

        issuer.is_down = False
        clock.seconds += 31
        assert await found(keys, "old")


async def test_keys_past_their_age_serve_while_they_are_refreshed_and_a_withdrawn_one_is_then_gone() -> None:
    clock = ManualClock()
    async with running_issuer(OLD) as issuer, known(issuer, clock, auth_keys_retry_s=3600) as keys:
        assert not await found(keys, "guess")  # so that no unknown id makes the hub ask again in this test
        issuer.keys[:] = [NEW]
        before = len(issuer.fetches)

        clock.seconds += 601
        assert await found(keys, "old")  # answered from what is known; the refresh is on its way
        async with asyncio.timeout(10):
            while await found(keys, "old"):  # noqa: ASYNC110  # the refresh is nobody's to await
                await asyncio.sleep(0.005)

        assert await found(keys, "new")
        assert len(issuer.fetches) == before + 2


async def test_an_issuer_that_was_never_reached_says_try_later_not_bad_token() -> None:
    clock = ManualClock()
    async with running_issuer(OLD) as issuer, known(issuer, clock) as keys:
        issuer.is_down = True
        for _ in range(5):
            with pytest.raises(Unavailable, match="cannot be fetched"):
                await keys.find("RS256", "old")
        assert issuer.fetches == ["discovery"]

        issuer.is_down = False
        clock.seconds += 1
        assert await found(keys, "old")


async def test_a_discovery_document_of_another_issuer_is_not_believed() -> None:
    async with running_issuer(OLD) as issuer, known(issuer, ManualClock()) as keys:
        issuer.claims_to_be = "https://somebody-else.example"

        with pytest.raises(Unavailable):
            await keys.find("RS256", "old")
        assert issuer.fetches == ["discovery"]


async def test_an_empty_key_set_does_not_replace_the_one_that_is_known() -> None:
    clock = ManualClock()
    async with running_issuer(OLD) as issuer, known(issuer, clock) as keys:
        assert await found(keys, "old")
        issuer.keys.clear()

        assert not await found(keys, "new")  # made the hub ask
        assert await found(keys, "old")


async def test_a_key_set_has_an_address_of_its_own_where_that_is_configured() -> None:
    async with running_issuer(OLD) as issuer:
        keys = RemoteKeys(config.load(), ManualClock(), Metrics(), jwks_url=f"{issuer.address}/keys")
        try:
            assert await found(keys, "old")
        finally:
            await keys.aclose()
        assert issuer.fetches == ["keys"]


async def test_an_endless_key_set_is_not_read_to_its_end() -> None:
    many = ({**OLD, "kid": str(n), "x5c": "x" * 1000} for n in range(1_200))
    async with running_issuer(*many) as issuer, known(issuer, ManualClock()) as keys:
        with pytest.raises(Unavailable):
            await keys.find("RS256", "old")


@pytest.mark.parametrize(
    ("keys", "algorithm", "kid", "expected"),
    [
        pytest.param([OLD, NEW], "RS256", "new", "new", id="by its id"),
        pytest.param([OLD, NEW], "RS256", None, None, id="no id, several keys"),
        pytest.param([OLD, public_jwk(ec_key(), kid="ec")], "ES256", None, "ec", id="no id, one of the kind"),
        pytest.param([public_jwk(rsa_key())], "RS256", "any", None, id="the one key without an id"),
        pytest.param([OLD], "HS256", "old", KeyError, id="a public key is no secret"),
        pytest.param([OLD], "ES256", "old", KeyError, id="another kind"),
        pytest.param([public_jwk(ec_key(), kid="ec")], "ES384", "ec", KeyError, id="another curve"),
        pytest.param([public_jwk(ed_key(), kid="ed", use="enc")], "EdDSA", "ed", KeyError, id="for encryption"),
        pytest.param([{**OLD, "alg": "RS512"}], "RS256", "old", KeyError, id="declared for another algorithm"),
        pytest.param([{"kty": "RSA", "kid": "old", "n": "!", "e": "AQAB"}], "RS256", "old", KeyError, id="does not parse"),
    ],
)
def test_a_key_is_found_by_id_and_used_for_its_own_kind_only(
    keys: list[dict[str, Any]], algorithm: str, kid: str | None, expected: Any
) -> None:
    key = KeySet(tuple(keys)).find(algorithm, kid)

    if expected is KeyError or (kid is None and expected is None):
        assert key is None
    else:
        assert key is not None
        assert (key.key_id, key.algorithm_name) == (expected, algorithm)
