-- What Security Hub has of our findings, and what was sent to it last.
CREATE TABLE finding (
    id     TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL -- JSON
);
