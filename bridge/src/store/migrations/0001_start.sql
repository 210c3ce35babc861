-- Times are microseconds since 1970-01-01T00:00:00Z. Everything here keeps to what PostgreSQL understands too.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Which node is which VM, and which is not.
CREATE TABLE identity (
    place    TEXT   NOT NULL, -- account/Region
    node     TEXT   NOT NULL,
    vcenter  TEXT   NOT NULL, -- the vCenter's instance UUID
    vm       TEXT   NOT NULL, -- managed object reference
    instance TEXT,            -- the VM's instance UUID
    basis    TEXT   NOT NULL, -- enrolled, linked, activation, matched; unlinked: they are not the same
    since    BIGINT NOT NULL,
    PRIMARY KEY (place, node, vcenter, vm)
);

-- What vmbridge wrote and is therefore allowed to change and remove.
CREATE TABLE owned (
    kind    TEXT   NOT NULL, -- node-tag, vm-attribute
    place   TEXT   NOT NULL, -- account/Region, or the vCenter's instance UUID
    object  TEXT   NOT NULL, -- node, or managed object reference
    name    TEXT   NOT NULL, -- key of the tag, or name of the attribute
    value   TEXT,            -- NULL: removed, and maybe not seen to be gone yet
    rule    TEXT   NOT NULL,
    written BIGINT NOT NULL,
    PRIMARY KEY (kind, place, object, name)
);

-- Everything that was done: what was intended before, and how it ended after.
CREATE TABLE journal (
    id         BIGINT NOT NULL PRIMARY KEY,
    plan       TEXT   NOT NULL,
    capability TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    place      TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    label      TEXT   NOT NULL, -- the VM's name at that time
    intent     TEXT   NOT NULL, -- JSON: all that is needed to do it, and to find out whether it was done
    intended   BIGINT NOT NULL,
    outcome    TEXT,            -- NULL: not known (yet)
    ended      BIGINT,
    duration   BIGINT,
    error      TEXT
);
CREATE INDEX journal_open ON journal (id) WHERE outcome IS NULL;
CREATE INDEX journal_object ON journal (object, id);
CREATE INDEX journal_intended ON journal (intended);

-- What failed lately, and when it may be tried again.
CREATE TABLE failure (
    capability TEXT    NOT NULL,
    place      TEXT    NOT NULL,
    object     TEXT    NOT NULL,
    failures   INTEGER NOT NULL,
    since      BIGINT  NOT NULL,
    retry_at   BIGINT  NOT NULL,
    reason     TEXT    NOT NULL,
    PRIMARY KEY (capability, place, object)
);

-- Changes that the guard would have held, and that a person allowed.
CREATE TABLE approval (
    plan     TEXT   NOT NULL PRIMARY KEY,
    changes  TEXT   NOT NULL, -- JSON: fingerprints of the changes
    approved BIGINT NOT NULL,
    expires  BIGINT NOT NULL
);
