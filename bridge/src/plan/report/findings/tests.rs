//! Tests of what is found wrong.
