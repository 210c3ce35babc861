//! Where the configuration is.

use std::path::{Path, PathBuf};

use super::Failure;

const INSTALLED: &str = "/etc/vmbridge/vmbridge.toml";
const HERE: &str = "vmbridge.toml";

/// The path of the configuration: the given one, else the installed one, else the one in the working directory.
///
/// The installed one goes first, so that a directory that happens to hold such a file does not change what a service
/// or an administrator does.
pub(super) fn config(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(path) => Ok(path.to_owned()),
        None => first([INSTALLED.into(), HERE.into()]),
    }
}

fn first(candidates: [PathBuf; 2]) -> Result<PathBuf, Failure> {
    // One that exists but cannot be read is found, so that its error is told instead of another file being taken.
    let found = candidates.iter().find(|path| path.symlink_metadata().is_ok());
    found.cloned().ok_or(Failure::NoConfig(candidates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_exists_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let paths = || ["installed", "here"].map(|name| directory.path().join(name));
        assert!(matches!(first(paths()), Err(Failure::NoConfig(_))));
        std::fs::write(&paths()[1], "").unwrap();
        assert_eq!(first(paths()).unwrap(), paths()[1]);
        std::fs::write(&paths()[0], "").unwrap();
        assert_eq!(first(paths()).unwrap(), paths()[0]);
        assert_eq!(config(Some(Path::new("/given"))).unwrap(), Path::new("/given"));
    }
}
