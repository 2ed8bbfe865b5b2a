-- The ledger: accounts, one append-only chain of entries, payments with their attempts and holds, the mesh, the outbox.
-- Amounts are integers in the currency's minor unit. Times are Unix milliseconds of the writer's clock.

-- Telemetry may be lost, money may not: the default is off, and every transaction that acknowledges money sets it on.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$;

CREATE TABLE writer (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch bigint NOT NULL
);
INSERT INTO writer (epoch) VALUES (0);
COMMENT ON TABLE writer IS 'The fencing epoch. A writer raises it when it takes over and locks the row in every commit.';

CREATE TABLE accounts (
    account_id text PRIMARY KEY,
    owner text NOT NULL,
    currency text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('link', 'external')),
    posted numeric(38, 0) NOT NULL,
    held numeric(38, 0) NOT NULL CHECK (held >= 0),
    closed boolean NOT NULL DEFAULT false,
    CHECK (kind = 'external' OR posted - held >= 0)
);

CREATE TABLE entries (
    seq bigint PRIMARY KEY CHECK (seq > 0),
    prev_hash bytea NOT NULL UNIQUE CHECK (length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    version smallint NOT NULL,
    transfer_id text NOT NULL,
    kind text NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    ref text NOT NULL,
    created_at_ms bigint NOT NULL,
    epoch bigint NOT NULL
);
CREATE INDEX entries_debit ON entries (debit, seq);
CREATE INDEX entries_credit ON entries (credit, seq);
-- A hold is taken once and ends once, posted or voided. What moves at once is in neither index, and costs nothing here.
CREATE UNIQUE INDEX entries_held_once ON entries (transfer_id) WHERE kind = 'hold';
CREATE UNIQUE INDEX entries_ended_once ON entries (transfer_id) WHERE kind IN ('post', 'void');
COMMENT ON TABLE entries IS 'One hash chain; see plm.domain.chain. Rows are never updated or deleted.';

CREATE TABLE transfers (
    transfer_id text PRIMARY KEY,
    debit text NOT NULL,
    credit text NOT NULL,
    amount numeric(38, 0) NOT NULL,
    currency text NOT NULL,
    kind text NOT NULL,
    entry_seq bigint NOT NULL
);

CREATE TABLE payments (
    payment_id text PRIMARY KEY,
    client_id text NOT NULL,
    body_sha256 bytea NOT NULL,
    from_node text NOT NULL,
    to_node text NOT NULL,
    amount numeric(38, 0) NOT NULL,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'settled', 'refused')),
    refusal_code text NOT NULL,
    refusal_detail text NOT NULL,
    created_at_ms bigint NOT NULL,
    ended_at_ms bigint NOT NULL
);

CREATE TABLE attempts (
    payment_id text NOT NULL REFERENCES payments,
    number integer NOT NULL CHECK (number > 0),
    state text NOT NULL CHECK (state IN ('open', 'posted', 'closed')),
    hops jsonb NOT NULL,
    opened_at_ms bigint NOT NULL,
    deadline_ms bigint NOT NULL,
    ended_at_ms bigint NOT NULL,
    close_reason text NOT NULL,
    failed_node text NOT NULL,
    PRIMARY KEY (payment_id, number)
);
-- A payment is posted at most once, whatever the attempts, and only one attempt is under way.
CREATE UNIQUE INDEX attempts_posted_once ON attempts (payment_id) WHERE state = 'posted';
CREATE UNIQUE INDEX attempts_open_once ON attempts (payment_id) WHERE state = 'open';

CREATE TABLE holds (
    payment_id text NOT NULL,
    number integer NOT NULL,
    hop integer NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'posted', 'voided')),
    entry_seq bigint NOT NULL,
    entry_hash bytea NOT NULL,
    PRIMARY KEY (payment_id, number, hop),
    FOREIGN KEY (payment_id, number) REFERENCES attempts
);

CREATE TABLE nodes (
    node_id text PRIMARY KEY,
    role text NOT NULL,
    currency text NOT NULL,
    enabled boolean NOT NULL,
    object_uid text NOT NULL,
    generation bigint NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE links (
    from_node text NOT NULL REFERENCES nodes,
    to_node text NOT NULL REFERENCES nodes,
    base_fee numeric(38, 0) NOT NULL,
    fee_rate_ppm bigint NOT NULL,
    latency_ms integer NOT NULL,
    declared_volume numeric(38, 0) NOT NULL,
    enabled boolean NOT NULL,
    object_uid text NOT NULL,
    generation bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (from_node, to_node)
);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    payload bytea NOT NULL
);

-- Money is acknowledged only by a commit that has reached the disk.
CREATE FUNCTION require_synchronous_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        RAISE EXCEPTION 'a posting needs synchronous_commit = on, it is %', current_setting('synchronous_commit');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_are_durable BEFORE INSERT ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION require_synchronous_commit();
-- A tombstone or a refusal has no entry, and is a promise about money all the same.
CREATE TRIGGER accounts_are_durable BEFORE INSERT OR UPDATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION require_synchronous_commit();
CREATE TRIGGER payments_are_durable BEFORE INSERT OR UPDATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION require_synchronous_commit();
CREATE TRIGGER attempts_are_durable BEFORE INSERT OR UPDATE ON attempts
    FOR EACH STATEMENT EXECUTE FUNCTION require_synchronous_commit();
CREATE TRIGGER holds_are_durable BEFORE INSERT OR UPDATE ON holds
    FOR EACH STATEMENT EXECUTE FUNCTION require_synchronous_commit();

-- A batch moves rows that its writer has seen. One that is gone since then fails the batch before anything of it is kept.
CREATE FUNCTION all_moved(name text, there bigint, expected bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF there <> expected THEN
        RAISE EXCEPTION 'only % of % rows of % are there', there, expected, name;
    END IF;
    RETURN true;
END $$;

-- What has ended stays ended, also for a writer with a fault in it.
CREATE FUNCTION refuse_second_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state THEN
        RAISE EXCEPTION '% is % and cannot become %', TG_TABLE_NAME, OLD.state, NEW.state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER attempts_end_once BEFORE UPDATE ON attempts
    FOR EACH ROW WHEN (OLD.state <> 'open') EXECUTE FUNCTION refuse_second_end();
CREATE TRIGGER holds_end_once BEFORE UPDATE ON holds
    FOR EACH ROW WHEN (OLD.state <> 'pending') EXECUTE FUNCTION refuse_second_end();
CREATE TRIGGER payments_end_once BEFORE UPDATE ON payments
    FOR EACH ROW WHEN (OLD.state <> 'open') EXECUTE FUNCTION refuse_second_end();

-- The service's role: may append to the chain, may not rewrite it.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger') THEN CREATE ROLE ledger LOGIN; END IF;
END $$;
ALTER ROLE ledger SET synchronous_commit = on;
GRANT SELECT, INSERT ON entries, transfers TO ledger;
GRANT SELECT, INSERT, UPDATE ON accounts, payments, attempts, holds, nodes, links TO ledger;
GRANT SELECT, UPDATE ON writer TO ledger;
GRANT SELECT, INSERT, DELETE ON outbox TO ledger;
