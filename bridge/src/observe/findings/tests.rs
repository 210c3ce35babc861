//! Tests of what is read for findings.
