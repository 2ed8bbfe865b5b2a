"""Nodes and links: who is in the mesh, with which policy and which declared money."""

from collections.abc import Iterable
from dataclasses import replace

from plm.domain import ids
from plm.domain.books import Account, Books, check_room
from plm.domain.chain import EntryKind
from plm.domain.errors import Code, Conflict, Refused
from plm.domain.mesh import Link, Node, Registration
from plm.domain.money import MINOR_UNITS_MAX, scale_of
from plm.domain.orders import LinkOrder, NodeOrder, TransferOrder
from plm.domain.transferring import book

ROLES = ("sme", "provider", "hub")
_RATE_PPM_MAX = 1_000_000
_LATENCY_MS_MAX = 24 * 3600 * 1000


def register_node(books: Books, order: NodeOrder) -> Node:
    """Store a node. Idempotent; an older generation of the same object is a Conflict(stale_generation).

    A node that comes back can be paid again over every link that leads to it: nobody registers those links anew.
    """
    ids.check_node_id(order.node_id)
    scale_of(order.currency)
    if order.role not in ROLES:
        raise Refused(Code.INVALID_REQUEST, f"role {order.role!r} is not one of {', '.join(ROLES)}")
    known = books.nodes.get(order.node_id)
    if known is not None:
        _check_age(order.node_id, order.registration, known.registration)
        if known.currency != order.currency:
            raise Refused(
                Code.CURRENCY_MISMATCH, f"{order.node_id} is in {known.currency} since it was made"
            )
    node = Node(
        order.node_id,
        order.role,
        order.currency,
        order.registration,
        version=known.version + 1 if known else 1,
    )
    if known is None or replace(known, version=node.version, links=()) != node:
        books.put_node(node)
        books.open_account(ids.external_account(order.currency), "", order.currency, "external")
    for link in links_of(books, order.node_id):
        if link.enabled and link.to_node not in order.links_to:
            books.put_link(replace(link, enabled=False, version=link.version + 1))
    _reopen_far_ends(books, order)
    return books.nodes[order.node_id]


def register_link(books: Books, order: LinkOrder) -> Link:
    """Store a link and move the difference to its declared volume, once per newer registration."""
    source, target = _ends(books, order)
    _check_terms(order)
    known = books.links.get((order.from_node, order.to_node))
    if known is not None:
        _check_age(f"{order.from_node}-{order.to_node}", order.registration, known.registration)
        if known.enabled and known.registration == order.registration:
            return known
    difference = order.declared_volume - (known.declared_volume if known else 0)
    account_id = ids.link_account(order.from_node, order.to_node)
    _check_funding(books, account_id, source.currency, difference)
    books.open_account(account_id, order.from_node, source.currency, "link")
    books.open_account(
        ids.link_account(order.to_node, order.from_node), order.to_node, target.currency, "link"
    )
    link = Link(
        order.from_node,
        order.to_node,
        order.policy,
        order.declared_volume,
        order.registration,
        version=known.version + 1 if known else 1,
        currency=source.currency,
    )
    books.put_link(link)
    if difference:
        _fund(books, link, account_id, difference)
    return books.links[link.key]


def disable_node(books: Books, node_id: str) -> Node:
    """Take a node out of the graph. Its money stays; accounts that hold none are closed."""
    node = books.nodes.get(node_id)
    if node is None:
        raise Refused(Code.UNKNOWN_NODE, f"no node {node_id!r}")
    if node.enabled:
        books.put_node(replace(node, enabled=False, version=node.version + 1))
    for link in links_of(books, node_id):
        if link.enabled:
            books.put_link(replace(link, enabled=False, version=link.version + 1))
        account = books.accounts[ids.link_account(*link.key)]
        if _is_empty(account) and not account.closed:
            books.close_account(account)
    return books.nodes[node_id]


def links_of(books: Books, node_id: str) -> Iterable[Link]:
    """Links that a node declared, disabled ones included, in order of their names."""
    return [link for key, link in sorted(books.links.items()) if key[0] == node_id]


def _reopen_far_ends(books: Books, order: NodeOrder) -> None:
    for from_node, to_node in books.links:
        if to_node == order.node_id:
            account_id = ids.link_account(to_node, from_node)
            books.open_account(account_id, to_node, order.currency, "link")


def _is_empty(account: Account) -> bool:
    return account.posted == 0 and account.held == 0


def _ends(books: Books, order: LinkOrder) -> tuple[Node, Node]:
    if order.from_node == order.to_node:
        raise Refused(Code.SAME_NODE, "a link needs two ends")
    found = []
    for node_id in (order.from_node, order.to_node):
        node = books.nodes.get(node_id)
        if node is None:
            raise Refused(Code.UNKNOWN_NODE, f"no node {node_id!r}")
        found.append(node)
    if found[0].currency != found[1].currency:
        raise Refused(
            Code.CURRENCY_MISMATCH,
            f"{found[0].node_id} is in {found[0].currency}, {found[1].node_id} in {found[1].currency}",
        )
    return found[0], found[1]


def _check_terms(order: LinkOrder) -> None:
    policy = order.policy
    if not 0 <= order.declared_volume <= MINOR_UNITS_MAX:
        raise Refused(Code.INVALID_AMOUNT, "a declared volume is between 0 and 38 digits")
    if not 0 <= policy.base_fee <= MINOR_UNITS_MAX:
        raise Refused(Code.INVALID_AMOUNT, "a base fee is between 0 and 38 digits")
    if not 0 <= policy.fee_rate_ppm <= _RATE_PPM_MAX:
        raise Refused(Code.INVALID_REQUEST, f"fee_rate_ppm is 0 to {_RATE_PPM_MAX}")
    if not 0 <= policy.latency_ms <= _LATENCY_MS_MAX:
        raise Refused(Code.INVALID_REQUEST, f"latency_ms is 0 to {_LATENCY_MS_MAX}")


def _check_age(what: str, registration: Registration, known: Registration) -> None:
    if registration.is_older_than(known):
        raise Conflict(
            Code.STALE_GENERATION,
            f"{what} is registered with generation {known.generation}, not {registration.generation}",
        )


def _check_funding(books: Books, account_id: str, currency: str, difference: int) -> None:
    account = books.accounts.get(account_id)
    available = account.available if account else 0
    if difference < 0 and available < -difference:
        raise Refused(
            Code.INSUFFICIENT_FUNDS,
            f"{account_id} has {available}, cannot give back {-difference}",
        )
    if difference > 0 and account is not None:
        check_room(account, difference)
    external = books.accounts.get(ids.external_account(currency))
    if external is not None and abs(external.posted - difference) > MINOR_UNITS_MAX:
        raise Refused(Code.AMOUNT_TOO_LARGE, f"external/{currency} would exceed 38 digits")


def _fund(books: Books, link: Link, account_id: str, difference: int) -> None:
    external = ids.external_account(link.currency)
    transfer_id = ids.funding_id(link.from_node, link.to_node, link.version)
    if difference > 0:
        order = TransferOrder(transfer_id, external, account_id, difference, link.currency)
        book(books, order, EntryKind.FUND)
    else:
        order = TransferOrder(transfer_id, account_id, external, -difference, link.currency)
        book(books, order, EntryKind.WITHDRAW)
