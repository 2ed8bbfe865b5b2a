"""What stands beside the chain must follow from it. Each check is a statement that finds the rows that do not.

Postgres compares, so that the writer's loop is not held up. What no entry tells of cannot be checked: names of clients,
times, reasons, and attempts that took no hold.
"""

from plm.domain.chain import FindingKind, Verifier
from plm.stores.postgres import Connection

_TRANSFERS = """
SELECT coalesce(e.seq, t.entry_seq) AS seq, 'transfer ' || transfer_id || ' is not as its entry says' AS detail
FROM (SELECT * FROM entries WHERE kind IN ('fund', 'withdraw', 'transfer')) e
FULL JOIN transfers t USING (transfer_id)
WHERE (t.debit, t.credit, t.amount, t.currency, t.kind, t.entry_seq)
    IS DISTINCT FROM (e.debit, e.credit, e.amount, e.currency, e.kind, e.seq)
"""
# A hold is as the last of its entries left it.
_HOLDS = """
SELECT coalesce(e.seq, h.entry_seq) AS seq, 'hold ' || id || ' is not as its entries say' AS detail
FROM (
    SELECT DISTINCT ON (transfer_id) transfer_id AS id, seq, hash,
        CASE kind WHEN 'hold' THEN 'pending' WHEN 'post' THEN 'posted' ELSE 'voided' END AS state
    FROM entries WHERE kind IN ('hold', 'post', 'void') ORDER BY transfer_id, seq DESC
) e
FULL JOIN (SELECT *, payment_id || '/' || number || '/' || hop AS id FROM holds) h USING (id)
WHERE (h.state, h.entry_seq, h.entry_hash) IS DISTINCT FROM (e.state, e.seq, e.hash)
"""
# As text: what somebody wrote into a route need not be a number.
_HOPS = """
SELECT e.seq, 'hop ' || e.transfer_id || ' is not as the route of its attempt says' AS detail
FROM holds h JOIN entries e ON e.seq = h.entry_seq
LEFT JOIN attempts a ON (a.payment_id, a.number) = (h.payment_id, h.number)
LEFT JOIN payments p ON p.payment_id = h.payment_id
CROSS JOIN LATERAL (SELECT a.hops -> h.hop ->> 'from' AS source, a.hops -> h.hop ->> 'to' AS target) hop
WHERE e.kind IN ('hold', 'post', 'void') AND (e.debit, e.credit, e.amount::text, e.currency) IS DISTINCT FROM
    ('link/' || source || '/' || target, 'link/' || target || '/' || source, a.hops -> h.hop ->> 'amount', p.currency)
"""
_ATTEMPTS = """
SELECT coalesce(h.seq, 0) AS seq, 'attempt ' || a.number || ' of ' || a.payment_id || ' is ' || a.state
    || ', its holds are not' AS detail
FROM attempts a LEFT JOIN (
    SELECT payment_id, number, max(entry_seq) AS seq, count(*) AS taken,
        count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'posted') AS posted,
        count(*) FILTER (WHERE state = 'voided') AS voided
    FROM holds GROUP BY payment_id, number
) h USING (payment_id, number)
WHERE CASE a.state
    WHEN 'posted' THEN h.posted IS DISTINCT FROM h.taken
        OR h.posted IS DISTINCT FROM CASE jsonb_typeof(a.hops) WHEN 'array' THEN jsonb_array_length(a.hops) END
    WHEN 'closed' THEN h.voided <> h.taken
    ELSE h.pending <> h.taken END
"""
_NUMBERS = """
SELECT 0::bigint AS seq, 'an attempt of ' || payment_id || ' is missing' AS detail
FROM attempts GROUP BY payment_id HAVING max(number) <> count(*)
"""
_PAYMENTS = """
SELECT coalesce(max(h.entry_seq), 0) AS seq, 'payment ' || p.payment_id || ' is not as its attempts say' AS detail
FROM payments p LEFT JOIN attempts a USING (payment_id) LEFT JOIN holds h USING (payment_id, number)
GROUP BY p.payment_id
HAVING (p.state = 'settled') <> coalesce(bool_or(a.state = 'posted'), false)
    OR bool_or(a.hops <> '[]' AND (p.from_node, p.to_node, p.amount::text)
        IS DISTINCT FROM (a.hops -> 0 ->> 'from', a.hops -> -1 ->> 'to', a.hops -> -1 ->> 'amount'))
"""
_LINKS = """
SELECT 0::bigint AS seq, 'link ' || l.from_node || '-' || l.to_node || ' has no account ' || needed.id AS detail
FROM links l
CROSS JOIN LATERAL (VALUES (l.from_node, l.to_node), (l.to_node, l.from_node)) ends (owner, peer)
CROSS JOIN LATERAL (SELECT 'link/' || owner || '/' || peer AS id) needed
LEFT JOIN accounts a ON a.account_id = needed.id
WHERE a.account_id IS NULL
"""
_OWNERS = """
SELECT 0::bigint AS seq, account_id || ' is not whose it says' AS detail FROM accounts
WHERE (kind, owner) IS DISTINCT FROM (split_part(account_id, '/', 1),
    CASE split_part(account_id, '/', 1) WHEN 'link' THEN split_part(account_id, '/', 2) ELSE '' END)
"""
CHECKS = (_TRANSFERS, _HOLDS, _HOPS, _ATTEMPTS, _NUMBERS, _PAYMENTS, _LINKS, _OWNERS)
# Materialized: asked for the first alone, the planner hopes to meet it early, and joins a row at a time for ever.
_FIRST = "WITH bad AS MATERIALIZED ({}) SELECT seq, detail FROM bad ORDER BY seq = 0, seq, detail LIMIT 1"


async def audit(connection: Connection, verifier: Verifier) -> None:
    """Compare all other tables with the entries; what belongs to the first of them is named first."""
    found = [row for check in CHECKS for row in await connection.fetch(_FIRST.format(check))]
    for row in sorted(found, key=lambda row: (row["seq"] == 0, row["seq"])):
        verifier.find(FindingKind.MISMATCH, row["seq"], row["detail"])
