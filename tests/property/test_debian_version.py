"""The key order is dpkg's order (python-debian's own comparison is the reference)."""

from __future__ import annotations

import pytest
from debian.debian_support import NativeVersion
from hypothesis import given, settings
from hypothesis import strategies as st

from preventable.readers.debian_version import policy_fault, version_key, version_ranks

_PART = st.text(alphabet="019aZ.+~", min_size=0, max_size=6)
VERSIONS = st.builds(
    lambda epoch, first, upstream, revision: f"{epoch}{first}{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "10:"]),
    st.sampled_from(["0", "1", "9", "10", "007"]),
    _PART,
    st.one_of(st.just(""), st.builds(lambda r: f"-{r}0", _PART), st.just("-0"), st.just("-1~bpo12+1")),
)


@settings(max_examples=600, deadline=None)
@given(VERSIONS, VERSIONS)
def test_same_order_as_the_reference(a: str, b: str) -> None:
    reference = (NativeVersion(a) > NativeVersion(b)) - (NativeVersion(a) < NativeVersion(b))
    own = (version_key(a) > version_key(b)) - (version_key(a) < version_key(b))
    assert own == reference


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("6.30.0~", "6.30.0-1"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0+b1"),
        ("1.0a", "1.0+"),
        ("9", "10"),
        ("1:1", "2:0.1"),
        ("1.0-1", "1.0-1.1"),
        ("1.0~~", "1.0~"),
    ],
)
def test_known_pairs(less: str, more: str) -> None:
    assert version_key(less) < version_key(more)


def test_equal_versions_share_a_rank() -> None:
    assert version_ranks(["1.0", "1.0-0", "1.00", "0:1.0", "2"]) == [0, 0, 0, 0, 1]


def test_policy_faults_are_told() -> None:
    assert policy_fault("1:2.3~rc1+dfsg-1") is None
    assert policy_fault("v1.0") is not None
    assert policy_fault("1_0") is not None
