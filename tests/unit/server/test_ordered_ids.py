from datetime import UTC, datetime, timedelta

from penstock.server.database.bulk import ordered_ids

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_ids_are_in_order_within_and_across_moments():
    ids = ordered_ids(1000, NOW) + ordered_ids(1000, NOW + timedelta(milliseconds=1))
    assert ids == sorted(ids)
    assert len(set(ids)) == 2000


def test_ids_are_uuids_of_version_7_that_tell_their_moment():
    for identifier in ordered_ids(50, NOW):
        assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
        assert identifier.int >> 80 == int(NOW.timestamp() * 1000)
