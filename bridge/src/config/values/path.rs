//! Paths of files.

use std::path::PathBuf;

use super::super::reader::Cell;
use super::super::schema::Kind;

/// systemd puts credentials into a directory that only it knows, and names it in this variable.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The path of a file, made absolute.
pub(in super::super) struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn read(&self, cell: &Cell<'_>) -> Option<PathBuf> {
        let text = cell.text("\"ca.pem\"")?;
        cell.allow();
        resolve(cell, text)
    }

    fn allowed(&self) -> String {
        "a path; a relative one starts at the directory of the configuration file; `${CREDENTIALS_DIRECTORY}/…` is a systemd credential".to_owned()
    }
}

/// A list of paths of files, each as [`FilePath`] has it.
pub(in super::super) struct FilePaths;

impl Kind for FilePaths {
    type Value = Vec<PathBuf>;

    fn read(&self, cell: &Cell<'_>) -> Option<Vec<PathBuf>> {
        let items = cell.items("[\"rules.toml\"]")?;
        let paths: Vec<Option<PathBuf>> = items
            .iter()
            .enumerate()
            .map(|(i, item)| FilePath.read(&cell.inner(item, &format!("[{}]", i + 1))))
            .collect();
        paths.into_iter().collect()
    }

    fn allowed(&self) -> String {
        "a list of paths; relative ones start at the directory of the configuration file".to_owned()
    }
}

/// Expands the one variable that is allowed and joins the rest to the directory of the configuration file.
pub(super) fn resolve(cell: &Cell<'_>, text: &str) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return cell.wrong("not a path", "");
    }
    if text.starts_with('~') {
        return cell.wrong("`~` has no meaning here", "write the whole path");
    }
    let marker = format!("${{{CREDENTIALS}}}/");
    let Some(name) = text.strip_prefix(&marker) else {
        if text.contains("${") {
            return cell.wrong(
                "no variable but `${CREDENTIALS_DIRECTORY}` is replaced, and only at the beginning",
                format!("for example: \"{marker}dc1-password\""),
            );
        }
        return Some(cell.context.base.join(text));
    };
    match cell.context.environment.get(CREDENTIALS) {
        Some(directory) if !directory.is_empty() => Some(PathBuf::from(directory).join(name)),
        Some(_) | None => cell.wrong(
            "`${CREDENTIALS_DIRECTORY}` is not set",
            "systemd sets it for a unit with LoadCredential=; outside the unit, set it to a directory with the same files",
        ),
    }
}
