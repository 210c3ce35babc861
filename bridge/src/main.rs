//! The program `vmbridge`. Everything is in the library, where it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    vmbridge::cli::main()
}
