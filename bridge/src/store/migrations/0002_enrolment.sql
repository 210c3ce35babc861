-- How far the enrolment of each VM is.
CREATE TABLE enrolment (
    vcenter TEXT NOT NULL, -- the vCenter's instance UUID
    vm      TEXT NOT NULL, -- managed object reference
    record  TEXT NOT NULL, -- JSON; holds no secret
    PRIMARY KEY (vcenter, vm)
);

-- Which passwords guests refused, so that they are not tried again and no account is locked.
CREATE TABLE refusal (
    vcenter     TEXT   NOT NULL,
    vm          TEXT   NOT NULL,
    credentials TEXT   NOT NULL, -- name of the entry
    fingerprint TEXT   NOT NULL, -- tells whether user or password are others now; says nothing of them
    since       BIGINT NOT NULL,
    PRIMARY KEY (vcenter, vm, credentials)
);
