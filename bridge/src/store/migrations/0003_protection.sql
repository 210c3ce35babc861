-- The snapshots that we take, have, and had.
CREATE TABLE protection (
    vcenter TEXT   NOT NULL, -- the vCenter's instance UUID
    vm      TEXT   NOT NULL, -- managed object reference
    id      TEXT   NOT NULL, -- the id of the first attempt, which tells the record from all others
    record  TEXT   NOT NULL, -- JSON
    ended   BIGINT,          -- when there was nothing more to be done
    PRIMARY KEY (vcenter, vm, id)
);

-- The openings of windows, from the time at which their snapshots begin.
CREATE TABLE scope (
    window_id TEXT NOT NULL,
    opens     BIGINT NOT NULL,
    record    TEXT NOT NULL, -- JSON
    PRIMARY KEY (window_id, opens)
);
