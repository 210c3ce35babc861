//! Parts of the program that the library does not have: its arguments and the files it writes.

pub(crate) mod args;
pub(crate) mod files;
