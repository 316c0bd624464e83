"""What links may be promised: their rate beside what others were promised; the scarcest is named."""

from qstrata.planes.paths import LinkPhase, LinkView, Path
from qstrata.strata.forwarding.control.promises import PROMISED_SHARE, Load, promised_bps, shortfall
from qstrata.strata.forwarding.control.routes import Route


def view(link: str, rate_bps: float, phase: LinkPhase = LinkPhase.ACTIVE) -> LinkView:
    a, b = link.split("-")
    return LinkView(link, a, b, phase, 10_000_000, rate_bps, made_bps=rate_bps)


VIEWS = {link.link: link for link in (view("a-b", 10_000.0), view("b-c", 6_000.0))}


def route(session: str, links: tuple[str, ...], rate_bps: float) -> Route:
    made = Route(session, "a", "c", rate_bps)
    made.pending = Path(("a", "b", "c")[: len(links) + 1], links, 1.0, False)
    return made


def test_a_rate_is_promised_up_to_the_share_of_the_scarcest_link() -> None:
    most = PROMISED_SHARE * 6_000
    assert shortfall(VIEWS, [], "a", "c", most) == ""
    assert shortfall(VIEWS, [], "a", "c", most + 1).startswith("link b-c has 5400 bit/s left to promise")


def test_what_other_sessions_were_promised_is_left_no_more() -> None:
    routes = [route("one", ("a-b",), 6_000.0), route("two", ("a-b", "b-c"), 1_000.0)]
    assert promised_bps(routes) == {"a-b": 7_000, "b-c": 1_000}
    assert shortfall(VIEWS, routes, "a", "c", 2_000.0) == ""
    refusal = shortfall(VIEWS, routes, "a", "c", 2_500.0)
    assert "link a-b has 2000 bit/s left to promise of 9000 bit/s, and 2500 bit/s are asked" in refusal


def test_pooled_key_and_dark_links_promise_nothing() -> None:
    dark = {**VIEWS, "b-c": view("b-c", 6_000.0, LinkPhase.PASSIVE)}
    assert shortfall(dark, [], "a", "c", 1.0).startswith("link b-c makes no key now")


def test_a_computed_rate_is_no_promise() -> None:
    new = {"a-b": LinkView("a-b", "a", "b", LinkPhase.ACTIVE, 0, 10_000.0)}
    assert shortfall(new, [], "a", "b", 1.0).startswith("link a-b makes no key now, or no block of it yet")


def test_a_session_gets_its_promise_where_all_fit_and_a_fair_share_where_they_do_not() -> None:
    views = {"a-b": LinkView("a-b", "a", "b", LinkPhase.ACTIVE, 0, 10_000.0, made_bps=10_000.0)}
    routes = [route("large", ("a-b",), 7_000.0), route("small", ("a-b",), 1_000.0)]
    for each in routes:
        each.path = each.pending
    assert [Load(routes).forecast_bps(each, views) for each in routes] == [7_000.0, 5_000.0]
    routes[1].rate_bps = 3_000.0
    assert [Load(routes).forecast_bps(each, views) for each in routes] == [5_000.0, 5_000.0]


def test_sites_without_a_path_are_promised_nothing_and_told_why() -> None:
    off = {"a-b": view("a-b", 10_000.0, LinkPhase.OFF)}
    assert shortfall(off, [], "a", "b", 1.0)
