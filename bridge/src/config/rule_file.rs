//! Files of rules on disk.
//!
//! Whatever keeps a file from being read is a mistake like those in it, so that whoever wrote several gets to know of all.

use std::io::{self, Read as _};
use std::path::Path;

use mappings::checks::{LONGEST_FILE, Mistake, RuleFile, parse};

/// Reads a file of rules.
///
/// # Errors
/// With every mistake; also when it cannot be read.
pub fn read(path: &Path) -> Result<RuleFile, Vec<Mistake>> {
    let name = path.display().to_string();
    match text(path) {
        Ok(text) => parse(&name, &text),
        Err(error) => {
            let help = match error.kind() {
                io::ErrorKind::NotFound => "create it, or take it out of the list of files",
                io::ErrorKind::PermissionDenied => "let the user that vmbridge runs as read it",
                io::ErrorKind::InvalidData => "save the file as UTF-8",
                _ => "name a file of rules, as docs/custom-rules.md has it",
            };
            let message = format!("the file cannot be read: {error}");
            Err(vec![Mistake { file: name, line: None, rule: None, key: None, message, help: help.into() }])
        }
    }
}

fn text(path: &Path) -> io::Result<String> {
    // Opening what is no file, such as a pipe, could wait for ever.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    // The last character of a file that is too long may be cut; that it is too long is told by whoever parses it.
    if bytes.len() > LONGEST_FILE {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error().to_string()))
}
