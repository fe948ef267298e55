"""Labels: written, parsed, shortened."""

from hypothesis import given
from hypothesis import strategies as st

from bench.core.labels import Label, shortened

names = st.sampled_from(["conv", "unet", "salt_and_pepper"])
values = st.sampled_from(["1", "0.1", "element", "[a(b=1, c=2), d]", "0.0..0.2"])
labels = st.builds(
    lambda name, params, rest: str(Label(name, tuple(params.items()), rest)),
    names,
    st.dictionaries(st.sampled_from("pqr"), values),
    st.sampled_from(["", ", autoencode", " trained on gaussian(sigma=0.1)"]),
)


@given(st.lists(labels, unique=True), st.integers(0, 2))
def test_short_names_are_unique_and_stay_short(given: list[str], keep: int) -> None:
    brief = shortened(map(Label.parse, given), keep)
    assert [str(label) for label in brief] == given
    assert len(set(map(str, brief.values()))) == len(given)
    assert all(len(str(short)) <= len(str(label)) for label, short in brief.items())


def short(labels: list[str], keep: int = 0) -> list[str]:
    return [str(label) for label in shortened(map(Label.parse, labels), keep).values()]


def test_short_drops_what_does_not_vary() -> None:
    given = ["conv(width=16, depth=2)", "conv(width=32, depth=2)", "unet(width=16)"]
    assert short(given) == ["conv(width=16)", "conv(width=32)", "unet"]
    assert short(["masking(p=0.1, fill=0.0)"], keep=1) == ["masking(p=0.1)"]
    odd = ["a(x=1", "a(x", "b((", ""]
    assert short(odd) == odd
    assert short(["a(x=1) on b(y=2)"]) == ["a on b(y=2)"]
